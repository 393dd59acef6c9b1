"""Policies from YAML files; every mistake of every file in one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.policy.findings import KeyPath, key_text
from shared.policy.problems import PolicyError, Problem
from shared.policy.schema import Policy
from shared.policy.validation import parse_policy
from shared.policy.yaml_tree import Document, read_documents

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy and where it is written."""

    policy: Policy
    file: str
    document: Document

    def problem(self, path: KeyPath, message: str, allowed: str) -> Problem:
        """A problem at one of its keys."""
        return Problem(self.file, self.document.line_of(path), key_text(path), message, allowed)

    def place(self, path: KeyPath) -> str:
        """``file:line`` of one of its keys."""
        return f"{self.file}:{self.document.line_of(path)}"


def load_policy(path: Path | str) -> Policy:
    """The one policy in a file."""
    loaded = load_policies([path])
    if len(loaded) > 1:
        second = loaded[1]
        message = f"the file holds {len(loaded)} policies; one is expected here"
        raise PolicyError((Problem(second.file, second.document.line_of(()), "", message, "one document"),))
    return loaded[0].policy


def load_policies(paths: Iterable[Path | str]) -> tuple[LoadedPolicy, ...]:
    """All policies in files and directories, checked one by one and against each other; or one ``PolicyError`` with it all."""
    loaded: list[LoadedPolicy] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(Path(path) for path in paths):
        for file in _files(path, problems):
            _load(file, loaded, problems)
    problems += _clashes(loaded)
    if problems:
        raise PolicyError(tuple(problems))
    return tuple(loaded)


def _files(path: Path, problems: list[Problem]) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not files:
        problems.append(Problem(str(path), 0, "", "the directory holds no policies", "files that end in .yaml or .yml"))
    return files


def _load(file: Path, loaded: list[LoadedPolicy], problems: list[Problem]) -> None:
    name = str(file)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        problems.append(Problem(name, 0, "", f"cannot be read: {error.strerror}", "a file or a directory"))
        return
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(Problem(name, line, "", f"byte {error.start} is not UTF-8", "text in UTF-8"))
        return
    documents, broken = read_documents(text, name)
    problems += broken
    if not documents and not broken:
        problems.append(Problem(name, 0, "", "the file holds no policy", "one policy per document, divided by ---"))
    for document in documents:
        try:
            policy = parse_policy(document.value, name, document.line_of)
        except PolicyError as error:
            problems += error.problems
        else:
            loaded.append(LoadedPolicy(policy, name, document))


def _clashes(loaded: Iterable[LoadedPolicy]) -> Iterator[Problem]:
    """One endpoint belongs to one policy, and one policy to a model: two would move the same traffic."""
    endpoints: dict[tuple[str | None, str, str], str] = {}
    models: dict[str, str] = {}
    for one in loaded:
        place = models.setdefault(one.policy.model, one.place(("model",)))
        if place != one.place(("model",)):
            yield one.problem(
                ("model",), f"{one.policy.model} has a policy already, in {place}", "one policy per model"
            )
        for number, target in enumerate(one.policy.targets):
            path: KeyPath = ("targets", number, "endpoint")
            name = f"{target.bucket}/{target.endpoint}" if target.bucket else target.endpoint
            place = endpoints.setdefault((target.project, target.region, name), one.place(path))
            if place != one.place(path):
                message = f"{target.endpoint} in {target.region} belongs to another policy already, in {place}"
                yield one.problem(path, message, "an endpoint belongs to one policy")
