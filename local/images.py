"""The images that the caller's app sends: invented, endless, and the same for the same seed.

Complexity follows Beta(4, 6), mean 0.4: most images are of middling complexity, which is what makes an allocation of 64 to
400 tokens come to about 200, a compression of about eight.
"""

from __future__ import annotations

import random
from typing import Any

QUERIES = (
    "what is on the table?",
    "how many people are there?",
    "read the sign",
    "what colour is the car?",
    "is the door open?",
    "describe the scene",
)


def image(seed: int, number: int) -> dict[str, Any]:
    """The instance with this number: an image's id, its complexity and a question about it."""
    generator = random.Random(f"{seed}/{number}")
    return {
        "image_id": f"image-{seed}-{number}",
        "complexity": round(generator.betavariate(4, 6), 4),
        "query": generator.choice(QUERIES),
    }
