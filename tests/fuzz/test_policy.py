"""Damaged policies: a policy, or problems with their lines; never anything else, never for long."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from infra.package import ROOT
from shared.policy.loading import load_policies
from shared.policy.problems import PolicyError
from tests.fuzz.corpus import damaged, fuzzed, kept, no_hang

EXAMPLES = sorted([*(ROOT / "infra" / "policies").glob("*.yaml"), *(ROOT / "docs" / "policies").glob("*.yaml")])
SEEDS = [data for _, data in kept("policy")] + [path.read_bytes() for path in EXAMPLES]
TOKENS = (b"&a ", b"*a", b"<<: *a\n", b"!!python/object:os.system ", b"!!binary ", b"? ", b"- ", b"---\n", b"%YAML 9.9\n", b"\t",
          b"|\n", b"{", b"]", b": ", b"null", b".inf", b"0x1f", b"1e999", b"9" * 5000, b"\xff", b"\xe2\x80\xa8", b"\x00")  # fmt: skip


def survives(data: bytes, folder: Path) -> None:
    file = folder / "policy.yaml"
    file.write_bytes(data)
    with no_hang(data):
        try:
            loaded = load_policies([file])
        except PolicyError as refused:
            assert refused.problems
            for problem in refused.problems:
                assert problem.file == str(file)
                str(problem).encode("utf-8", "backslashreplace")
        else:
            assert loaded


@pytest.mark.parametrize(("name", "data"), kept("policy"), ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_kept_is_survived(name: str, data: bytes, tmp_path: Path) -> None:
    survives(data, tmp_path)


@fuzzed
@given(damaged(SEEDS, TOKENS))
def test_what_is_damaged_is_survived(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    survives(data, tmp_path_factory.getbasetemp())
