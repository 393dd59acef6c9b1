"""From evidence to verdicts: five of them still, with the evidence and its bound in the sentence."""

from __future__ import annotations

from dataclasses import replace

from shared.policy.rollout import RolloutSpec
from shared.rollout.proof import SUSPICION, Proof, Weighed, harm_of_all, weigh
from shared.rollout.record import CheckResult, Verdict
from shared.rollout.statistics.process import threshold


def judge_proof(spec: RolloutSpec, stage: int, proof: Proof, seen: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """The checks with the verdict of the evidence; ``seen`` has the numbers, and what no evidence can mend (no data).

    Harm is one question about all gating checks together, and its answer names one culprit; no harm is asked of each check.
    """
    last = stage >= len(spec.stages) - 2
    weighed = [weigh(proof, index, check, last=last) for index, check in enumerate(spec.checks)]
    gating = {str(i): w for i, (check, w) in enumerate(zip(spec.checks, weighed, strict=True)) if check.gating}
    harm, culprit = harm_of_all(gating) if gating else (1.0, "")
    guilty = int(culprit) if harm >= threshold(spec.confidence.harm) else -1
    return tuple(
        # A margin alone asks for nothing where there is no stable: what was seen stands.
        _judge(spec, result, w, harm, is_guilty=index == guilty) if proof.control or check.is_absolute else result
        for index, (check, result, w) in enumerate(zip(spec.checks, seen, weighed, strict=True))
    )


def _judge(spec: RolloutSpec, result: CheckResult, weighed: Weighed, harm: float, *, is_guilty: bool) -> CheckResult:
    numbers = result.sentence.removesuffix(", which may be chance")
    enough_harm, enough = threshold(spec.confidence.harm), threshold(spec.confidence.no_harm)
    if is_guilty:
        return replace(
            result, verdict=Verdict.FAIL, sentence=f"{numbers}: evidence of harm {_short(harm)} >= {enough_harm:g}"
        )
    if result.verdict in (Verdict.NO_DATA, Verdict.PROVIDER_ERROR):
        return result
    if weighed.no_harm >= enough and weighed.harm < SUSPICION:
        sentence = f"{numbers}: evidence of no harm {_short(weighed.no_harm)} >= {enough:g}"
        return replace(result, verdict=Verdict.PASS, sentence=sentence)
    sentence = f"{numbers}: evidence of no harm {_short(weighed.no_harm)} of {enough:g}, of harm {_short(weighed.harm)} of {enough_harm:g}"
    return replace(result, verdict=Verdict.INCONCLUSIVE, sentence=sentence)


def _short(e: float) -> str:
    return f"{e:.3g}" if e < 1e6 else "more than a million"
