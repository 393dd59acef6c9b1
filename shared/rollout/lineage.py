"""Where a version came from, as labels on it: the run is how a second upload of the same training is recognised."""

from __future__ import annotations

from collections.abc import Iterable

from shared.rollout.names import version_number
from shared.rollout.observed import ModelVersion

RUN, DATASET, CODE, JOB = "vr-run", "vr-dataset", "vr-code", "vr-job"
VARIANT_OF = "vr-variant-of"
"""The model whose training run has made this version too; both carry the same run."""


def is_twin(version: ModelVersion, versions: Iterable[ModelVersion]) -> bool:
    """Whether an earlier version came from the same training run: should two exist after all, the lowest wins."""
    run, number = version.labels.get(RUN), version_number(version.version)
    return bool(run) and any(v.labels.get(RUN) == run and version_number(v.version) < number for v in versions)
