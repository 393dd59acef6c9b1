"""What is said on the page of each command, and of each state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One command in words."""

    button: str
    asks: str
    """The question of the page that asks."""
    means: str
    """What follows from a yes."""
    done: str
    """What is said afterwards."""
    tone: str = "plain"
    """``good``, ``plain`` or ``bad``: how the button looks."""


COMMANDS = {
    "approve": Words(
        "Approve",
        "Approve the next stage?",
        "The version gets its next share of the traffic as soon as nothing else is in its way. Harm still rolls it back.",
        "The approval is recorded; the next step takes it forward.",
        "good",
    ),
    "promote": Words(
        "Go on now",
        "Go on to the next stage without waiting?",
        "The version gets its next share now, without the rest of its bake time. Harm still rolls it back.",
        "It was told to go on; the next step takes it forward.",
        "good",
    ),
    "resume": Words(
        "Resume",
        "Resume this rollout?",
        "It goes on from where it stands.",
        "It was resumed; the next step takes it forward.",
        "good",
    ),
    "pause": Words(
        "Pause",
        "Pause this rollout?",
        "It stays where it is until somebody resumes it. Harm still rolls it back.",
        "It is paused.",
    ),
    "abort": Words(
        "Abort",
        "Abort this rollout?",
        "All its traffic goes back at once, and it is closed as rolled back. This cannot be undone; a new rollout starts anew.",
        "It was told to end; its traffic goes back at once.",
        "bad",
    ),
}
PHASES = {
    "queued": "waits for its turn",
    "experiment": "several versions beside the stable; the best one goes on",
    "deploying": "being deployed, without traffic",
    "shadow": "answers copies of requests; no user sees it",
    "canary": "has a share of the traffic",
    "watching": "has all the traffic, and is watched",
    "paused": "stands still",
    "stopping": "is being ended",
    "promoted": "arrived",
    "rolled back": "was taken back",
    "failed": "could not be deployed or went lost",
    "rejected": "was refused before it had traffic",
    "superseded": "gave way to a newer version",
}
"""Of each state, for a tooltip and for the legend."""
