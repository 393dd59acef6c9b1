"""What versions have answered to fixed sets: a document for each version and set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import TypeAdapter

from shared.rollout.answers import Answers
from shared.store.documents import Documents

KEPT = timedelta(days=400)
"""A version that is still champion then is asked once more."""
_ANSWERS = TypeAdapter(Answers)


@dataclass(frozen=True)
class StoredAnswers:
    """The answers at the revision that was read."""

    answers: Answers
    revision: str


class KnownAnswers:
    """By their ids."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, ids: Sequence[str]) -> dict[str, StoredAnswers]:
        """Those that are there."""
        found = self._documents.get_all("answers", list(dict.fromkeys(ids)))
        return {one.id: StoredAnswers(_ANSWERS.validate_python(one.body), one.revision) for one in found}

    def create(self, answers: Answers) -> StoredAnswers:
        """ConflictError where somebody was first."""
        body = _ANSWERS.dump_python(answers, mode="json")
        return StoredAnswers(
            answers, self._documents.create("answers", answers.id, body, expires=answers.asked_at + KEPT)
        )

    def replace(self, before: StoredAnswers, after: Answers) -> StoredAnswers:
        """ConflictError where they are no longer as they were read."""
        body = _ANSWERS.dump_python(after, mode="json")
        return StoredAnswers(after, self._documents.replace("answers", after.id, body, before.revision))
