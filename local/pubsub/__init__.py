"""An embedded Pub/Sub, for the real client libraries and the real Functions Framework."""

from local.pubsub.control import counts, set_faults, set_max_in_flight
from local.pubsub.faults import Faults
from local.pubsub.server import PubsubServer

__all__ = ["Faults", "PubsubServer", "counts", "set_faults", "set_max_in_flight"]
