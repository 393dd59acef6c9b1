"""``make up``: started, used from another process, and ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parent.parent.parent
WANTED = {
    *(
        "VERTEX_EMULATOR_HOST",
        "MONITORING_EMULATOR_HOST",
        "PUBSUB_EMULATOR_HOST",
        "FUNCTIONS_URL",
        "STORE",
        "STORE_PATH",
    ),
    *(
        "GOOGLE_CLOUD_PROJECT",
        "CLOCK_RATE",
        "CLOCK_ORIGIN",
        "ROLLOUTS_COMMAND_URL",
        "ROLLOUTS_ID_TOKEN",
        "ALERT_URL",
        "PAGE_URL",
    ),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


@dataclass
class System:
    """A running ``python -m local.up``, and what it has said."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def addresses(self) -> dict[str, str]:
        """The ``NAME=value`` lines."""
        found = (re.fullmatch(r"([A-Z_]+)=(\S+)", line) for line in self.lines)
        return {match[1]: match[2] for match in found if match}

    def until_said(self, text: str, seconds: float = 60) -> str:
        """The line with that text."""
        ends = time.monotonic() + seconds
        while not (said := [line for line in list(self.lines) if text in line]):
            assert time.monotonic() < ends, f"{text!r} was not said: {self.lines[-20:]}"
            assert self.process.poll() is None, f"ended too soon: {self.lines[-20:]}"
            time.sleep(0.05)
        return said[0]

    def rollouts(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line, with nothing but the printed environment."""
        command = [sys.executable, "-m", "rollouts_cli.main", *arguments]
        environment = {"PATH": os.environ["PATH"], **self.addresses}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def announce(self, run: str) -> None:
        """What is printed as a suggestion, in a shell that has read the printed file."""
        file = next(line for line in self.lines if line.endswith("/environment")).strip().removeprefix(". ")
        assert "  python -m local.announce run-2" in self.lines
        command = ["sh", "-euc", f". {file}; python -m local.announce {run}; rollouts list"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert said.returncode == 0, said.stderr
        assert f"announced {run} on training-completed" in said.stdout

    def processes(self) -> list[int]:
        """Every process that knows this system's clock, the first one's children and theirs."""
        mark = f"CLOCK_ORIGIN={self.addresses['CLOCK_ORIGIN']}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[System]:
    command = [sys.executable, "-m", "local.up", "--folder", str(folder), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    system = System(process)

    def read_on() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            system.lines.append(line.rstrip("\n"))

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        yield system
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


def test_it_can_be_used_from_another_terminal_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with running(tmp_path / "up", "--rate", "100", "--rps", "5") as system:
        system.until_said("Ctrl-C ends everything")
        assert set(system.addresses) == WANTED
        system.until_said("predictions per second flow to arr-coc-serving")
        listed = system.rollouts("list", "--json")
        assert listed.returncode == 0, listed.stderr
        rollouts = json.loads(listed.stdout)["rollouts"]
        assert [(r["model"], r["version"]) for r in rollouts] == [("arr-coc-relevance", "1")]
        look_at_the_page(system.addresses["PAGE_URL"])
        system.announce("run-2")
        rollout = system.until_said("Advanced v2 to 10 %") and second(system)
        paused = system.rollouts("pause", rollout, "--reason", "trying it out")
        assert paused.returncode == 0, paused.stderr
        assert "by operator@example.com" in system.rollouts("get", rollout).stdout
        assert len(system.processes()) >= 3
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(30) == 0, system.lines[-20:]
        assert system.processes() == []
    assert system.lines[-1] == "stopped"
    assert not [line for line in system.lines if "Traceback" in line]


def test_interrupted_while_it_starts_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path / "up") as system:
        system.until_said("starting")
        until = time.monotonic() + 20
        while not (tmp_path / "up" / "logs" / "vertex.log").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        children = Path(f"/proc/{system.process.pid}/task/{system.process.pid}/children").read_text().split()
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(30) == 0, system.lines[-20:]
        assert children
        until = time.monotonic() + 20
        while left := [pid for pid in children if _is_running(pid)]:
            assert time.monotonic() < until, left
            time.sleep(0.05)


def look_at_the_page(address: str) -> None:
    """All that the first page needs and leads to on this machine is there."""
    page = requests.get(f"{address}/", timeout=30)
    assert page.status_code == 200
    links = {link for link in re.findall(r'(?:href|src)="(/[^"]*)"', page.text)}
    assert any(link.endswith(".css") for link in links)
    assert any("/rollouts/arr-coc-relevance-v1-" in link for link in links)
    missing = {link: requests.get(address + link, timeout=30).status_code for link in links}
    assert set(missing.values()) == {200}, missing


def _is_running(pid: str) -> bool:
    """Whether it still does something; one that has ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def second(system: System) -> str:
    """The rollout of v2."""
    listed = json.loads(system.rollouts("list", "--json").stdout)["rollouts"]
    return next(str(r["id"]) for r in listed if r["version"] == "2")
