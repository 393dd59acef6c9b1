"""The errors of the system, and what the boundary does with each.

RolloutsError
├── TransientError              may succeed later: the event is not acknowledged and comes again
│   ├── NotYetError             nothing is wrong, something is still under way: the same, logged as information
│   ├── BusyError               not taken for want of quota, so nothing was done
│   └── ConflictError           another writer was first: reload and decide again
├── PermanentError              will never succeed: acknowledged, one clear line, kept in the dead letters
│   ├── NotFoundError           what is named does not exist
│   └── RefusedError            Vertex AI or a policy said no, with its reason
│       └── AlreadyExistsError  what should be created is there already
└── StaleEventError             too old to act on: acknowledged with a line

Modules that raise something narrower (``store``, ``metrics``, ``identity``) derive it from these.
"""

from __future__ import annotations


class RolloutsError(Exception):
    """Base of all errors that this project raises on purpose."""


class TransientError(RolloutsError):
    """The same event may succeed later."""


class NotYetError(TransientError):
    """Something that was started is still under way; looking again later is the plan, not a fault."""


class BusyError(TransientError):
    """The request was not taken for want of quota; unlike other transient errors it is known to have done nothing."""


class ConflictError(TransientError):
    """What was read is no longer what is there; reload and decide again."""


class PermanentError(RolloutsError):
    """No retry can help; a person has to change something."""


class RefusedError(PermanentError):
    """The request was understood and refused, with the reason of whoever refused it."""


class NotFoundError(PermanentError):
    """What the request names does not exist (NOT_FOUND)."""


class AlreadyExistsError(RefusedError):
    """What should be created is there already (ALREADY_EXISTS)."""


class StaleEventError(RolloutsError):
    """The event is older than what it could still decide."""
