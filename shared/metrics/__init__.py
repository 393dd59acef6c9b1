"""The only place that knows Cloud Monitoring.

Importing this package prepares the lean import of its client; nothing of Google's is loaded by it.
"""

from shared.gapic.lean import MONITORING, import_leanly

import_leanly(MONITORING)
