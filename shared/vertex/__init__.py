"""The only place that knows Vertex AI's API.

Importing this package prepares the lean import of its client (see ``shared.gapic.lean``); nothing of Google's is loaded by it.
"""

from shared.gapic.lean import VERTEX, import_leanly

import_leanly(VERTEX)
