"""Names that are derived, so that a second delivery of an event arrives at the same ones."""

from __future__ import annotations

import hashlib
import re

from shared.rollout.observed import TargetRef


def _digest(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])


def rollout_id(model: str, version: str, target: TargetRef, trial: int = 1) -> str:
    """One rollout per model@version, target and trial; legal as a label's value (at most 63 of ``[a-z0-9_-]``).

    A second trial is what a person asks for after the first was taken back. It has a name of its own, so whatever is still under way
    about the first (alerts, hints, the label of its rollback) means the first.
    """
    again = () if trial == 1 else (str(trial),)
    return f"{model[:40]}-v{version}-{_digest(model, version, str(target), *again) % 16**6:06x}"


def deployed_model_id(rollout: str, attempt: int, draw: int = 0) -> str:
    """Ten digits without a leading zero, the form that DeployModel takes from a client (DeployedModel.id).

    Choosing it ourselves makes a deployment recognisable when its answer was lost. ``draw`` is for one that is taken.
    """
    return str(10**9 + _digest(rollout, str(attempt), str(draw)) % (9 * 10**9))


POOL = "vr-"
"""Before the name of every pool that we make: pools have no labels, and one of somebody else is never touched."""


def pool_id(name: str) -> str:
    """The id of a policy's pool in Vertex AI."""
    return f"{POOL}{name}"


def shadow_deployed_id(rollout: str, attempt: int) -> str:
    """The same for the deployment on the shadow endpoint."""
    return deployed_model_id(f"{rollout}/shadow", attempt)


def stable_again_id(rollout: str, failed: int) -> str:
    """The same for a stable that somebody has undeployed and that is deployed again; another after every attempt that failed."""
    return deployed_model_id(f"{rollout}/stable", failed + 1)


def shadow_target(rollout: str, target: TargetRef) -> TargetRef:
    """The endpoint on which a rollout has its shadow (2 to 63 of ``[a-z0-9-]``, the first a letter)."""
    name = f"shadow-{target.endpoint[:40]}-{_digest(rollout) % 16**8:08x}"
    return TargetRef(target.project, target.region, name)


def arm_target(rollout: str, arm: str, target: TargetRef) -> TargetRef:
    """The endpoint of one arm of a sticky experiment."""
    name = f"{_ARM}{target.endpoint[:40]}-{_digest(rollout, arm) % 16**8:08x}"
    return TargetRef(target.project, target.region, name)


def is_arm_target(target: TargetRef) -> bool:
    """Whether it may be one, by its name."""
    return target.endpoint.startswith(_ARM)


_ARM = "arm-"


EXPORT = "gs:"
"""Before bucket and folder, in the place of an endpoint's id, which has no colon."""


def export_target(project: str, region: str, bucket: str, folder: str) -> TargetRef:
    """The target of versions that are exported to a bucket."""
    return TargetRef(project, region, f"{EXPORT}{bucket}:{folder}")


def export_place(target: TargetRef) -> tuple[str, str] | None:
    """Bucket and folder of such a target; None for an endpoint."""
    if not target.endpoint.startswith(EXPORT):
        return None
    bucket, _, folder = target.endpoint.removeprefix(EXPORT).partition(":")
    return bucket, folder


GREEN = "-green"


def green_target(target: TargetRef) -> TargetRef:
    """The second endpoint of a pair (blue-green); an endpoint that is made begins with a letter."""
    name = f"no-{target.endpoint}" if target.endpoint.isdigit() else target.endpoint
    return TargetRef(target.project, target.region, f"{name}{GREEN}")


def blue_target(target: TargetRef) -> TargetRef | None:
    """The first endpoint of the pair whose second this may be; None where it is none by its name."""
    if not target.endpoint.endswith(GREEN):
        return None
    name = target.endpoint.removesuffix(GREEN)
    number = name.removeprefix("no-")
    return TargetRef(target.project, target.region, number if number.isdigit() else name)


COPY_OF = "vr-copy-of"
"""On a version that was uploaded once more, in another project: which one it is; a copy within one project says so by itself."""


def copy_label(project: str, region: str, model: str, version: str) -> str:
    """The value of that label: legible, and another one for every version of every project."""
    return f"{region}-v{version}-{_digest(project, region, model, version) % 16**6:06x}"


def deployed_name(model: str, version: str, registered: str = "") -> str:
    """What a deployed model is called in Vertex AI, where it has no labels; a copy's name says whose copy it is."""
    return f"{model}-v{version}" + (f" (copied as v{registered})" if registered else "")


def copied_version(name: str, model: str, registered: str) -> str:
    """The version whose copy a deployed model of that name is; empty for one that is no copy."""
    # Not by a pattern with the model in it: thousands of them a tick would have to be compiled, and drive others out of the cache of `re`.
    number = name.removeprefix(f"{model}-v").partition(" ")[0]
    if not (registered and number.isascii() and number.isdecimal()):
        return ""
    return number if name == deployed_name(model, number, registered) else ""


def version_in(rollout: str) -> str:
    """The version that a rollout's id names; empty for what is no such id."""
    found = re.search(r"-v([0-9]+)-[0-9a-f]{6}$", rollout)
    return found[1] if found else ""


def version_number(version: str) -> int:
    """A version for comparing which is newer; Vertex AI counts them up."""
    return int(version) if version.isdigit() else 0


_ILLEGAL = re.compile(r"[^a-z0-9_-]+")
LABEL_LENGTH = 63


def label_value(text: str) -> str:
    """``text`` as a label's value: at most 63 of ``[a-z0-9_-]``.

    A value that had to be changed ends in a digest of the original, so two different values never become one label
    (``gs://a/B`` and ``gs-a-b`` stay apart).
    """
    if len(text) <= LABEL_LENGTH and not _ILLEGAL.search(text):
        return text
    legal = _ILLEGAL.sub("-", text.lower()).strip("-")
    return f"{legal[: LABEL_LENGTH - 9]}-{_digest(text) % 16**8:08x}".lstrip("-")


def label_key(text: str) -> str:
    """``text`` as a label's key; keys begin with a letter."""
    legal = label_value(text)
    return legal if legal[:1].isalpha() else label_value(f"l-{legal}")
