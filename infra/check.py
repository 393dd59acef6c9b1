"""Holds what is deployed against itself, Terraform and checkov: ``python -m infra.check [--again] [--ci]``.

First what costs nothing: every function can be packaged, is in the table, and is granted what it declares. Then terraform fmt, validate and
test, and checkov; with the real provider where the registry answers, else with one that knows nothing but its schema: the folder that
``TERRAFORM_PROVIDER`` names, or ``../shared/terraform/plugin`` beside the project. A tool that is missing is named, with what installs it;
with ``--ci`` (or ``CI`` in the environment) that is a failure. What was found good is remembered in the clone's ``.git`` by a hash of all
that it depends on, so that an unchanged ``infra/`` costs next to nothing, in any of its worktrees.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.declared import differences
from infra.package import ROOT, package_all
from infra.reachable import PackagingError
from infra.table import TableError, load_table

INFRA = ROOT / "infra"
SOURCES = ("*.tf", "*.hcl", "*.yaml", ".checkov.yaml")
REGISTRY = "https://registry.terraform.io/.well-known/terraform.json"
PROVIDER = "TERRAFORM_PROVIDER"
BESIDE = ROOT.parent / "shared" / "terraform" / "plugin"
CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
_PLUGIN = "terraform-provider-google"


@dataclass(frozen=True)
class Step:
    """One tool that was run."""

    name: str
    said: str
    """What it has against it; empty when nothing."""


class MissingError(Exception):
    """A tool or provider that is not there, and what would help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when something is wrong, or, in CI, missing."""
    parser = argparse.ArgumentParser(prog="python -m infra.check", description="Terraform and checkov over infra/.")
    parser.add_argument("--again", action="store_true", help="also when nothing has changed")
    parser.add_argument("--ci", action="store_true", default=bool(os.environ.get("CI")), help="what is missing fails")
    parser.add_argument("--root", type=Path, default=INFRA, help="the Terraform root (default: infra)")
    parser.add_argument("--code", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    if wrong := _inconsistent(options.code.resolve(), root):
        print("\n".join(f"infra: {line}" for line in wrong))
        return 1
    good, missing = memory(), False
    print_ = fingerprint(root)
    for name, run in (("terraform", terraform), ("checkov", checkov)):
        remembered = good / f"{print_}.{name}"
        if remembered.exists() and not options.again:
            print(f"infra: {name}: unchanged since it was found good")
            continue
        try:
            for step in run(root):
                print(f"infra: {step.name}: {'ok' if not step.said else 'failed'}", flush=True)
                if step.said:
                    print(step.said)
                    return 1
        except MissingError as exc:
            missing = True
            print(f"infra: {name} was not run: {exc}", file=sys.stderr)
            continue
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.touch()
    return 1 if missing and options.ci else 0


def _inconsistent(code: Path, root: Path) -> list[str]:
    """What is wrong with functions, zips and table."""
    try:
        table = load_table(root / "functions.yaml")
        package_all(code, code / "build" / "functions")
    except (TableError, PackagingError) as exc:
        return [str(exc)]
    return list(differences(code, table))


def fingerprint(root: Path) -> str:
    """Of everything that the outcome depends on."""
    seen = hashlib.sha256(Path(__file__).read_bytes())
    files = {path for pattern in SOURCES for path in root.rglob(pattern) if ".terraform" not in path.parts}
    for path in sorted(files):
        seen.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return seen.hexdigest()


def terraform(root: Path) -> Iterator[Step]:
    """fmt, validate and test."""
    binary = shutil.which("terraform")
    if binary is None:
        raise MissingError("install Terraform 1.11 or newer, https://developer.hashicorp.com/terraform/install")
    yield _step("terraform fmt", [binary, "fmt", "-check", "-recursive", "-diff", str(root)], {})
    with provided() as environment:
        # Without a registry there is nothing to initialise but the modules.
        begin = ["get"] if "TF_CLI_CONFIG_FILE" in environment else ["init", "-backend=false", "-input=false"]
        yield _step(f"terraform {begin[0]}", [binary, f"-chdir={root}", *begin, "-no-color"], environment)
        yield _step("terraform validate", [binary, f"-chdir={root}", "validate", "-no-color"], environment)
        if (root / "tests").is_dir():
            yield _step("terraform test", [binary, f"-chdir={root}", "test", "-no-color"], environment)


def checkov(root: Path) -> Iterator[Step]:
    """In an environment of its own: it brings 285 packages, one of which has the name of another that tests may use."""
    binary = CHECKOV
    if not binary.exists():
        raise MissingError("`make tools` installs it into .venv-checkov, once, in about a minute")
    command = [str(binary), "--directory", str(root), "--framework", "terraform", "--compact", "--quiet"]
    yield _step(
        "checkov", [*command, "--skip-download", "--download-external-modules", "false"], {"LOG_LEVEL": "ERROR"}
    )


@contextmanager
def provided() -> Iterator[dict[str, str]]:
    """Environment variables with which terraform finds a google provider."""
    folder = schema_only()
    if os.environ.get(PROVIDER) is None and _registry_answers():
        yield {}
        return
    if folder is None:
        raise MissingError(
            f"the registry does not answer ({REGISTRY}), and {PROVIDER} names no folder with {_PLUGIN}; "
            "allow the one or set the other"
        )
    with tempfile.TemporaryDirectory() as temporary:
        settings = Path(temporary) / "terraform.rc"
        settings.write_text(
            f'provider_installation {{\n  dev_overrides {{ "hashicorp/google" = "{folder}" }}\n  direct {{}}\n}}\n'
        )
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        yield {
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_DATA_DIR": str(Path(temporary) / "data"),
            "TF_DISABLE_PLUGIN_TLS": "1",
            "PATH": path,  # the provider is a Python program that needs grpcio
        }


def schema_only() -> Path | None:
    """The folder of a provider that knows its schema only; None without one."""
    named = os.environ.get(PROVIDER)
    folder = Path(named) if named else BESIDE
    return folder.resolve() if (folder / _PLUGIN).exists() else None


def _registry_answers() -> bool:
    try:
        with urllib.request.urlopen(REGISTRY, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, OSError):
        return False


def _step(name: str, command: Sequence[str], environment: Mapping[str, str]) -> Step:
    always = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    done = subprocess.run(  # noqa: S603 - our own commands
        command, env={**os.environ, **always, **environment}, capture_output=True, text=True, timeout=600, check=False
    )
    return Step(name, "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip())


def memory() -> Path:
    """Where outcomes are remembered; beside the build in a copy that is no clone."""
    git = shutil.which("git")
    if git:
        asked = [git, "-C", str(ROOT), "rev-parse", "--path-format=absolute", "--git-common-dir"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - a path that was looked up, and fixed arguments
        if done.returncode == 0:
            return Path(done.stdout.strip()) / "infra-check"
    return ROOT / "build" / "infra-check"


if __name__ == "__main__":
    sys.exit(main())
