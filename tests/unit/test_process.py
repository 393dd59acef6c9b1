"""A process that looks for garbage more rarely still finds it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, weakref
from shared.process import put_garbage_off

put_garbage_off()
assert gc.get_freeze_count() > 1_000, gc.get_freeze_count()

class Knot:
    pass

first = Knot()
first.itself = first
seen = weakref.ref(first)
del first
while seen() is not None:
    knots = [[] for _ in range(1_000)]
    for knot in knots:
        knot.append(knot)
print("found")
"""


def test_what_is_loaded_is_left_alone_and_later_garbage_is_found_by_itself() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr) == ("found\n", "")
