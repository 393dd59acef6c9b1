"""Model evaluations: imported for one version, listed for one version (types/model_service.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vertex_emulator.errors import invalid, missing
from vertex_emulator.filters import compile_filter, page
from vertex_emulator.messages import copy_of, moment, raw, timestamp

if TYPE_CHECKING:
    from vertex_emulator.filters import Fields
    from vertex_emulator.registry import Registry
    from vertex_emulator.state import State


class Evaluations:
    """Serves the evaluation methods of ModelService; all are synchronous."""

    def __init__(self, state: State, registry: Registry) -> None:
        self._state = state
        self._registry = registry

    def ImportModelEvaluation(self, request: Any) -> Any:
        """Add an evaluation to the version that the parent names (the default version without one)."""
        model, number = self._registry.find(request.parent)
        if not request.model_evaluation.metrics_schema_uri:
            invalid("model_evaluation.metrics_schema_uri is required.")
        evaluation = copy_of(request.model_evaluation)
        key = self._state.new_id()
        evaluation.name = f"{model.name}/evaluations/{key}"
        evaluation.create_time.CopyFrom(timestamp(self._state.clock()))
        model.evaluations[key] = (number, evaluation)
        return evaluation

    def GetModelEvaluation(self, request: Any) -> Any:
        """Return one evaluation by its name ``.../models/M/evaluations/E``."""
        parent, _, key = request.name.partition("/evaluations/")
        model, _ = self._registry.find(parent.partition("@")[0])
        if key not in model.evaluations:
            missing(f"The ModelEvaluation {request.name}")
        return model.evaluations[key][1]

    def ListModelEvaluations(self, request: Any) -> Any:
        """List the evaluations of the version that the parent names (the default version without one)."""
        model, number = self._registry.find(request.parent)
        matches = compile_filter(request.filter, ("display_name", "create_time"))
        found = [entry for owner, entry in model.evaluations.values() if owner == number and matches(_fields(entry))]
        shown, token = page(found, request.page_size, request.page_token)
        return raw("ListModelEvaluationsResponse")(model_evaluations=shown, next_page_token=token)


def _fields(evaluation: Any) -> Fields:
    values = {"display_name": evaluation.display_name, "create_time": moment(evaluation.create_time)}
    return values.get
