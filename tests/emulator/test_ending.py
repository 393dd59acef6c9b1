"""How a process is told to end."""

from __future__ import annotations

import os
import signal

from vertex_emulator.ending import on_signal


def test_a_signal_that_comes_before_anybody_waits_is_not_lost_and_a_second_one_does_no_harm() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        told_to_end = on_signal([signal.SIGUSR1])
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        told_to_end()
    finally:
        signal.signal(signal.SIGUSR1, before)
