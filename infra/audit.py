"""Asks whether anything that is pinned has a known vulnerability: ``python -m infra.audit [--again] [--ci]``.

pip-audit holds requirements*.txt against the advisories of OSV. It is asked once a day, and again when a pin changes. Where the advisories
cannot be reached, or not to the end, it says so and fails nothing: no answer is neither good nor bad news, and pip-audit alone may call it
good. A tool that is missing is named, with what installs it; with ``--ci`` (or ``CI`` in the environment) that is a failure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.check import memory
from infra.package import ROOT

PIP_AUDIT = ROOT / ".venv-audit" / "bin" / "pip-audit"
PINNED = ("requirements-dev.txt", "infra/serving/requirements.txt")
"""The first one includes what is deployed."""
OSV = "https://api.osv.dev/v1/query"
ACCEPTED: Mapping[str, str] = {}
"""Id of an advisory that does not concern us, and why."""
_DAY = 86_400.0
_PROBE_SECONDS = 5.0
_AUDIT_SECONDS = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when something pinned is vulnerable, or, in CI, when pip-audit is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.audit", description="Known vulnerabilities of what is pinned."
    )
    parser.add_argument("--again", action="store_true", help="also when it was asked today and nothing has changed")
    parser.add_argument("--ci", action="store_true", default=bool(os.environ.get("CI")), help="a missing tool fails")
    parser.add_argument("--osv", default=OSV, metavar="URL", help=f"another service of OSV's form (default: {OSV})")
    parser.add_argument("requirements", nargs="*", type=Path, default=[ROOT / name for name in PINNED])
    options = parser.parse_args(arguments)
    remembered = memory() / f"{fingerprint(options.requirements)}.audit"
    if not options.again and remembered.exists() and time.time() - remembered.stat().st_mtime < _DAY:
        print("audit: no known vulnerabilities, as of less than a day ago")
        return 0
    if not PIP_AUDIT.exists():
        print(
            "audit: pip-audit was not run: `make tools` installs it into .venv-audit, once, in seconds", file=sys.stderr
        )
        return 1 if options.ci else 0
    if why := unreachable(options.osv):
        print(f"audit: nothing was audited: the advisories at {options.osv} cannot be reached ({why})", file=sys.stderr)
        return 0
    answer = _audit(options.requirements, options.osv)
    if isinstance(answer, str):
        print(f"audit: the audit was not finished: {answer}", file=sys.stderr)
        return 0
    if answer:
        print("\n".join(("audit: failed", *answer)))
        return 1
    print("audit: no known vulnerabilities")
    remembered.parent.mkdir(parents=True, exist_ok=True)
    remembered.touch()
    return 0


def fingerprint(requirements: Sequence[Path]) -> str:
    """Of all that the outcome of a day depends on."""
    seen = hashlib.sha256(Path(__file__).read_bytes())
    for path in (*requirements, ROOT / "requirements.txt"):
        seen.update(path.read_bytes() + b"\0")
    return seen.hexdigest()


def unreachable(url: str) -> str:
    """Why the service does not answer as it should; empty when it does. Asked about a package that has had advisories."""
    question = json.dumps({"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.4.1"}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, question, headers)  # noqa: S310 - whoever calls chooses the address
        with urllib.request.urlopen(request, timeout=_PROBE_SECONDS) as answer:  # noqa: S310
            return "" if json.load(answer).get("vulns") else "it knows of no advisory at all"
    except (urllib.error.URLError, OSError, ValueError, AttributeError) as exc:
        return str(exc) or type(exc).__name__


def _audit(requirements: Sequence[Path], url: str) -> list[str] | str:
    """A line for each known vulnerability, or why pip-audit did not come to an end."""
    command = [str(PIP_AUDIT), "-s", "osv", "--osv-url", url, "--no-deps", "--disable-pip", "--strict"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", f"{_PROBE_SECONDS:g}"]
    command += [argument for id_ in ACCEPTED for argument in ("--ignore-vuln", id_)]
    # Its parser takes what follows some of its long options for the folder of a project: hence -s, and the files last.
    command += [argument for path in requirements for argument in ("--requirement", str(path))]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, timeout=_AUDIT_SECONDS, check=False
        )
        found = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return f"no answer within {_AUDIT_SECONDS:.0f} s"
    except (ValueError, KeyError):
        return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    return [
        f"  {one['name']} {one['version']}: {vulnerability['id']}, mended in {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for one in found
        for vulnerability in one["vulns"]
    ]


if __name__ == "__main__":
    sys.exit(main())
