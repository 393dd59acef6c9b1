"""What is measured: the project's functions from their zips, and the same rollback written in two other ways."""

from __future__ import annotations

import os
import py_compile
import shutil
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from bench.trial import BenchError
from infra.package import ROOT, functions, package_all

BASELINES = Path(__file__).parent / "baselines"
OWN_ROLLBACK = "roll_back"


@dataclass(frozen=True)
class Subject:
    """One function, unpacked where it can be served."""

    name: str
    """Of its entry point."""
    folder: Path
    is_baseline: bool

    @property
    def event_of(self) -> str:
        """The function whose event it handles: a baseline does what ``roll_back`` does."""
        return OWN_ROLLBACK if self.is_baseline else self.name


def prepare(folder: Path, names: Sequence[str] = ()) -> list[Subject]:
    """Package and unpack the named functions and baselines, all by default; compiled, as the build in the cloud does."""
    own, baselines = functions(ROOT), sorted(path.parent.name for path in BASELINES.glob("*/main.py"))
    if unknown := sorted(set(names) - {*own, *baselines}):
        raise BenchError(f"{unknown[0]} is not known; there are {', '.join([*own, *baselines])}")
    chosen = [name for name in own if name in names or not names]
    for package in package_all(ROOT, folder / "zips", chosen) if chosen else []:
        with zipfile.ZipFile(package.path) as archive:
            archive.extractall(folder / package.function)
    subjects = [Subject(name, folder / name, False) for name in chosen]
    for name in baselines:
        if name in names or not names:
            shutil.copytree(BASELINES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            subjects.append(Subject(name, folder / name, True))
    _compile(sorted(path for subject in subjects for path in subject.folder.rglob("*.py")))
    return subjects


def _compile(files: Sequence[Path]) -> None:
    """Each text once, though it stands in every folder; what is compiled names the time and the size of its source, which are made the same."""
    compiled: dict[bytes, Path] = {}
    written = time.time()
    for file in files:
        os.utime(file, (written, written))
        content, target = file.read_bytes(), Path(cache_from_source(str(file)))
        if content in compiled:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(compiled[content], target)
        else:
            py_compile.compile(str(file), doraise=True)
            compiled[content] = target
