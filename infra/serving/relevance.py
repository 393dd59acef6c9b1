"""The ARR-COC example: how many visual tokens an image deserves for a query.

A vision-language model spends 1600 raw patches on an image whatever it shows. The adapter scores relevance and allocates
64 to 400 tokens instead, by the image's complexity; on the traffic that ``local`` generates that is about 200 tokens and
a mean compression of about eight. The three scorers weigh the same three signals differently, which is what the
three-way ablation compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .artifact import ArtifactError
from .behaviour import Behaviour, draw

RAW_PATCHES = 1600
"""Visual tokens of an image without the adapter."""
FEWEST_TOKENS, MOST_TOKENS = 64, 400

SCORERS: Mapping[str, tuple[float, float, float, float]] = {
    "propositional": (0.42, 0.30, 0.10, 0.05),
    "perspectival": (0.42, 0.15, 0.30, 0.05),
    "participatory": (0.42, 0.10, 0.10, 0.35),
}
"""Intercept, then the weights of complexity (what is there), salience (what stands out) and coupling (what the query
asks of the image)."""

ALLOCATION_SPREAD = 0.08
"""How far salience and coupling move an allocation that complexity decides."""


@dataclass(frozen=True, slots=True)
class RelevanceModel:
    """One trained scorer: the scorer's weights, perturbed by the seed of its training run."""

    scorer: str
    seed: int
    weights: tuple[float, float, float, float]
    kind: str = "relevance"

    def check(self, instance: object, where: str) -> str | None:
        """What is wrong with the instance, or None."""
        if not isinstance(instance, dict):
            return f"{where}: must be an object with image_id, complexity and query"
        for name in ("image_id", "query"):
            if not isinstance(instance.get(name), str) or not instance[name]:
                return f"{where}.{name}: must be a text that is not empty, found {instance.get(name)!r:.80}"
        complexity = instance.get("complexity")
        if isinstance(complexity, bool) or not isinstance(complexity, int | float) or not 0 <= complexity <= 1:
            return f"{where}.complexity: must be a number from 0 to 1, found {complexity!r:.80}"
        return None

    def check_parameters(self, parameters: Mapping[str, Any]) -> str | None:
        """What is wrong with the parameters, or None: ``max_tokens`` caps what one image may get."""
        cap = parameters.get("max_tokens", MOST_TOKENS)
        if isinstance(cap, bool) or not isinstance(cap, int | float) or not FEWEST_TOKENS <= cap <= MOST_TOKENS:
            return f"parameters.max_tokens: must be a number from {FEWEST_TOKENS} to {MOST_TOKENS}, found {cap!r:.80}"
        return None

    def instance_id(self, instance: Mapping[str, Any]) -> str:
        """What the instance's random draws depend on."""
        return str(instance["image_id"])

    def score(self, instance: Mapping[str, Any], parameters: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
        """Tokens, relevance and compression of one image."""
        image, complexity = str(instance["image_id"]), float(instance["complexity"])
        salience = draw(self.seed, image, "salience")
        coupling = draw(self.seed, f"{image}\0{instance['query']}", "coupling")
        intercept, by_complexity, by_salience, by_coupling = self.weights
        relevance = intercept + by_complexity * complexity + by_salience * salience + by_coupling * coupling
        share = complexity + ALLOCATION_SPREAD * (salience + coupling - 1)
        wanted = (FEWEST_TOKENS + (MOST_TOKENS - FEWEST_TOKENS) * share) * behaviour.tokens_scale
        most = int(parameters.get("max_tokens", MOST_TOKENS))
        tokens = max(FEWEST_TOKENS, min(most, round(wanted)))
        return {
            "tokens": tokens,
            "relevance": round(min(1.0, max(0.0, relevance)), 4),
            "compression": round(RAW_PATCHES / tokens, 3),
        }


def relevance_model(artifact: Mapping[str, Any], seed: int) -> RelevanceModel:
    """The model that an artifact of kind ``relevance`` describes."""
    scorer = artifact.get("scorer", "propositional")
    if scorer not in SCORERS:
        raise ArtifactError(f"model.json: scorer: must be one of {', '.join(SCORERS)}, found {scorer!r}")
    base = SCORERS[scorer]
    shifts = [1 + 0.05 * (2 * draw(seed, scorer, f"weight {index}") - 1) for index in range(4)]
    first, second, third, fourth = (weight * shift for weight, shift in zip(base, shifts, strict=True))
    return RelevanceModel(scorer, seed, (first, second, third, fourth))
