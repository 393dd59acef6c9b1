"""Explanations of simulated predictions.

They have the property that every method of attribution has, and nothing else: the attributions of an instance's features add
up to the difference between its prediction and the baseline's (types/explanation.py: Attribution). Each feature gets the
same part. A model's real attributions cannot be had from its predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vertex_emulator.serving.values import fill


def attribute(explanation: Any, instance: Any, prediction: Any) -> None:
    """Write one attribution for each number that was predicted."""
    features = list(instance) if isinstance(instance, Mapping) else ["input"]
    for name, value in _numbers(prediction):
        part = value / len(features) if features else 0.0
        attribution = explanation.attributions.add(
            baseline_output_value=0.0, instance_output_value=value, output_name=name, approximation_error=0.0
        )
        fill(attribution.feature_attributions, dict.fromkeys(features, part))


def _numbers(prediction: Any) -> list[tuple[str, float]]:
    if isinstance(prediction, Mapping):
        return [(str(name), float(value)) for name, value in prediction.items() if isinstance(value, int | float)]
    return [("output", float(prediction))] if isinstance(prediction, int | float) else []
