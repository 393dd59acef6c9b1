"""The e-process: what evidence grows in, tick by tick.

A tick multiplies what was bet on each alternative by that alternative's likelihood ratio. New money is put in at every tick, so that
harm which begins late is not drowned in the calm before it (e-detectors: Shin, Ramdas, Rinaldo 2022, arXiv 2203.03532).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Starts = Literal["all", "first"]

CLIP = 30.0
"""At most this much from one tick, where harm is sought: a single terrible minute asks for a second one."""
_MOST = 1e250
"""Beyond it a mass grows no more: a product of two stays a float, and to lower a mass keeps the guarantee."""


@dataclass(frozen=True)
class Process:
    """The state of one e-process; a few hundred bytes of JSON. All but ``masses`` and ``ticks`` is fixed when it begins."""

    masses: tuple[float, ...]
    """By alternative: what the bets placed so far have become."""
    starts: Starts = "all"
    """When bets are placed: at tick k the share 1/(k(k+1)) (harm, which may begin late), or everything at the first (no harm)."""
    clip: float | None = CLIP
    """The most that one tick may multiply by; None where no single tick can mislead much (no harm)."""
    ticks: int = 0
    """Ticks that said something; others are not counted."""

    @property
    def reserve(self) -> float:
        """What has not been bet yet: 1 - Σ w_s, which for w_k = 1/(k(k+1)) is 1/(k+1)."""
        if self.starts == "all":
            return 1 / (self.ticks + 1)
        return 0.0 if self.ticks else 1.0


def begin(alternatives: int, starts: Starts = "all", clip: float | None = CLIP) -> Process:
    """A process before its first tick: E = 1."""
    if alternatives < 1:
        raise ValueError("an e-process bets on alternatives and was given none: name at least one")
    if clip is not None and clip < 1:
        raise ValueError(f"a clip of {clip:g} would lose the bet in every tick: give at least 1, or None for no clip")
    return Process((0.0,) * alternatives, starts, clip)


def update(process: Process, log_ratios: Sequence[float] | None, power: float = 1.0) -> Process:
    """The process after one more tick: M_kj = (M_{k-1,j} + w_k) · min(exp(η l_kj), C).

    ``log_ratios`` are the l_kj of the tick, one per alternative, or None where the tick says nothing (an arm without requests): then
    nothing changes and k stays. ``power`` is η, from 0 to 1, and must be known before the tick (see ``dispersion``).

    Assumes E[exp(l_kj) | past] <= 1 under the null, which every ``log_ratios`` of this package meets. Clipping and powers in (0, 1]
    only lower that (Jensen), so M stays a supermartingale and P(E ever reaches 1/alpha) <= alpha (Ville 1939). A tick that comes twice
    counts twice: the caller keeps what it has counted.
    """
    if log_ratios is None:
        return process
    if not 0 <= power <= 1:
        raise ValueError(f"a power of {power:g} would break the guarantee: it must lie between 0 and 1")
    k = process.ticks + 1
    placed = 1 / (k * (k + 1)) if process.starts == "all" else float(k == 1)
    most = math.log(_MOST if process.clip is None else process.clip)
    grown = [
        (mass + placed) * math.exp(raised if (raised := power * ratio) < most else most)
        for mass, ratio in zip(process.masses, log_ratios, strict=True)
    ]
    masses = tuple(grown) if max(grown) <= _MOST else tuple(min(mass, _MOST) for mass in grown)
    return Process(masses, process.starts, process.clip, k)


def e_value(process: Process) -> float:
    """The evidence against the null so far: E_k = mean_j M_kj + (1 - Σ_{s<=k} w_s), an e-process by mixture.

    1 says nothing, 20 is strong, 100 is the usual bound for a rollback; below 1 it speaks for the null.
    """
    count = len(process.masses)
    return math.fsum([mass / count for mass in process.masses]) + process.reserve


def threshold(alpha: float) -> float:
    """1/alpha: an e-process that reaches it does so by chance with probability at most alpha, however often one looks (Ville)."""
    if not 0 < alpha < 1:
        raise ValueError(f"an error probability of {alpha:g} is none: give one between 0 and 1, such as 0.01")
    return 1 / alpha


def clip_for(alpha: float, weight: float = 1.0) -> float:
    """The clip with which a catastrophe of a metric of that weight crosses 1/alpha at its second tick and not before: √(4/(alpha w)).

    At the first tick E <= C/2 + 1/2; at the second E can reach C²/2 = 2/(alpha w), twice what is needed.
    """
    if not 0 < weight <= 1:
        raise ValueError(f"a weight of {weight:g} is none: give one above 0 and at most 1")
    return math.sqrt(4 * threshold(alpha) / weight)
