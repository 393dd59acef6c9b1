"""Import single services of a generated Google client without its eager package ``__init__``.

``google.cloud.aiplatform_v1/__init__.py`` imports 34 services with three transports each, though a function uses one or two of
them: a second of cold start and 50 MB. Here the packages are put into ``sys.modules`` unexecuted, so that

    from google.cloud.aiplatform_v1.services.endpoint_service.client import EndpointServiceClient

loads only what that module names. Nothing is lost: the first use of a name that is no submodule
(``aiplatform_v1.EndpointServiceClient``, ``from ... import *``) executes the real ``__init__``, so the high-level SDK can be imported
afterwards in the same process. A package that was imported before is left alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

VERTEX = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1.services", "google.cloud.aiplatform_v1.types")
MONITORING = ("google.cloud.monitoring_v3", "google.cloud.monitoring_v3.services", "google.cloud.monitoring_v3.types")
PUBSUB = ("google.pubsub_v1", "google.pubsub_v1.services", "google.pubsub_v1.types")

_loading = threading.RLock()


def import_leanly(packages: tuple[str, ...]) -> None:
    """Make the packages importable without executing them; the parent of each stands before it."""
    with _loading:
        for name in packages:
            if name not in sys.modules:
                _place_unexecuted(name)


def _place_unexecuted(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}; install the pinned requirements.txt", name=name)
    module = importlib.util.module_from_spec(spec)
    module.__getattr__ = _fallback(module, spec)  # type: ignore[method-assign]  # PEP 562: found in the module's dict
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    setattr(importlib.import_module(parent), child, module)


def _fallback(module: ModuleType, spec: ModuleSpec) -> Callable[[str], Any]:
    """What a missing attribute does: a submodule is imported alone; anything else executes the real ``__init__``."""
    is_executed = False

    def __getattr__(attribute: str) -> Any:  # noqa: N807
        nonlocal is_executed
        missing = AttributeError(f"module {spec.name!r} has no attribute {attribute!r}")
        if attribute.startswith("__") and attribute not in ("__all__", "__version__"):
            raise missing
        qualified = f"{spec.name}.{attribute}"
        if qualified in sys.modules or importlib.util.find_spec(qualified) is not None:
            # `from package import submodule` asks for the attribute first and must not cost the whole package.
            return importlib.import_module(qualified)
        with _loading:
            if not is_executed and spec.loader is not None:
                is_executed = True  # before: the __init__ looks up names of its own package while it runs
                try:
                    spec.loader.exec_module(module)
                except BaseException:
                    is_executed = False  # the next use tries again and says why, instead of "no attribute"
                    raise
        try:
            return module.__dict__[attribute]
        except KeyError:
            raise missing from None

    return __getattr__
