"""``make check`` catches what would fail in the cloud: planted mistakes, each in a copy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import check
from infra.package import ROOT

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None or check.schema_only() is None,
    reason=f"needs terraform, and its schema-only provider beside the project or named by {check.PROVIDER}",
)
Copy = Callable[[], Path]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The code that is deployed and infra/, to be spoilt."""
    ignore = shutil.ignore_patterns("__pycache__", ".terraform", "serving")
    for name in ("functions", "shared", "infra"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    return tmp_path


def replace(path: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, by, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, f"{pattern} is not in {path}"
    path.write_text(text)


def checked(copied: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = check.main(["--root", str(copied / "infra"), "--code", str(copied)])
    return status, capsys.readouterr().out


@needs_terraform
def test_a_typo_in_an_argument(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(check.PROVIDER, str(check.schema_only()))  # whether the registry answers does not matter here
    replace(
        copied / "infra" / "modules" / "function" / "subscription.tf",
        "ack_deadline_seconds      ",
        "ack_deadline_second       ",
    )
    status, said = checked(copied, capsys)
    assert status == 1
    assert "ack_deadline_second" in said
    assert "Unsupported argument" in said


def test_a_permission_that_the_role_lacks(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(copied / "infra" / "functions.yaml", r"^    - aiplatform\.endpoints\.deploy\n", "")
    status, said = checked(copied, capsys)
    assert status == 1
    assert (
        "advance_rollout declares aiplatform.endpoints.deploy (PERMISSIONS), and its row in infra/functions.yaml does not"
        in said
    )


def test_a_permission_that_the_function_does_not_need(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(
        copied / "infra" / "functions.yaml",
        r"^    - aiplatform\.models\.delete\n",
        r"\g<0>    - aiplatform.endpoints.deploy\n",
    )
    status, said = checked(copied, capsys)
    assert status == 1
    assert "retire_models is granted aiplatform.endpoints.deploy" in said


def test_an_import_that_the_zip_lacks(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(
        copied / "functions" / "roll_back" / "main.py",
        "^import functions_framework$",
        "import functions_framework\nimport yaml",
    )
    status, said = checked(copied, capsys)
    assert status == 1
    assert "functions/roll_back/main.py:6 imports yaml, which comes with PyYAML" in said


def test_a_function_that_is_not_in_the_table(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied / "functions" / "brand_new"
    folder.mkdir()
    (folder / "main.py").write_text("def brand_new(event): ...\n")
    status, said = checked(copied, capsys)
    assert status == 1
    assert "functions/brand_new has no row in infra/functions.yaml" in said


def test_a_missing_tool_is_named_and_fails_in_ci_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(check, "CHECKOV", ROOT / "tests" / "checkov")  # which is not there
    assert check.main(["--again"]) == 0
    assert check.main(["--again", "--ci"]) == 1
    said = capsys.readouterr().err
    assert "terraform was not run: install Terraform" in said
    assert "checkov was not run: `make tools` installs it" in said


def test_the_same_sources_are_the_same_print_and_any_change_is_another(copied: Path) -> None:
    before = check.fingerprint(copied / "infra")
    assert before == check.fingerprint(ROOT / "infra")
    replace(copied / "infra" / "metrics.yaml", "about: ", "about: now ")
    assert check.fingerprint(copied / "infra") != before
