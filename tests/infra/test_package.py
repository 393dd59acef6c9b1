"""The zips: what is in them, that they do not depend on when and where they are made, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.package import ROOT, functions, main, package_all
from infra.reachable import PackagingError
from tests.infra.repository import write_repository


def test_a_zip_has_main_at_its_root_beside_shared_and_the_requirements(tmp_path: Path) -> None:
    root = write_repository(tmp_path / "repository")
    (package,) = package_all(root, tmp_path / "out")
    content = (tmp_path / "out" / "act.zip").read_bytes()
    assert (package.function, package.files, package.bytes) == ("act", 4, len(content))
    assert (tmp_path / "out" / "act.sha256").read_text() == package.sha256
    with zipfile.ZipFile(package.path) as archive:
        assert archive.namelist() == ["main.py", "requirements.txt", "shared/__init__.py", "shared/a.py"]
        assert archive.read("main.py") == (root / "functions" / "act" / "main.py").read_bytes()


def test_the_same_sources_give_the_same_bytes_whenever_and_wherever_they_are(tmp_path: Path) -> None:
    first = package_all(ROOT, tmp_path / "first")
    zips = sorted(path.name for path in (tmp_path / "first").glob("*.zip"))
    elsewhere = tmp_path / "elsewhere"
    for name in ("functions", "shared"):
        shutil.copytree(ROOT / name, elsewhere / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", elsewhere)
    for path in elsewhere.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o600)
    second = package_all(elsewhere, tmp_path / "second")
    assert len(first) >= 10
    assert [(p.function, p.sha256) for p in first] == [(p.function, p.sha256) for p in second]
    bytes_of = [[(tmp_path / folder / name).read_bytes() for name in zips] for folder in ("first", "second")]
    assert bytes_of[0] == bytes_of[1]


def test_each_zip_is_under_250_kilobytes(tmp_path: Path) -> None:
    """The status page carries its templates, and no rollback waits for it."""
    sizes = {package.function: package.bytes for package in package_all(ROOT, tmp_path)}
    assert sizes.pop("status_page") < 260_000
    assert max(sizes.values()) < 250_000, sizes


def test_a_change_in_what_one_function_imports_changes_only_its_zip(tmp_path: Path) -> None:
    other = "from shared.b import y\n\n\ndef other(event): ...\n"
    root = write_repository(tmp_path / "repository", {"functions/other/main.py": other, "shared/b.py": "y = 1\n"})
    before = {package.function: package.sha256 for package in package_all(root, tmp_path / "out")}
    (root / "shared" / "b.py").write_text("y = 2\n")
    after = {package.function: package.sha256 for package in package_all(root, tmp_path / "out")}
    assert after["act"] == before["act"]
    assert after["other"] != before["other"]


def test_no_zip_holds_what_is_for_one_machine_only(tmp_path: Path) -> None:
    for package in package_all(ROOT, tmp_path):
        with zipfile.ZipFile(package.path) as archive:
            tops = {name.partition("/")[0] for name in archive.namelist()}
        assert tops == {"main.py", "requirements.txt", "shared"}, package.function


def test_a_folder_without_a_main_is_refused(tmp_path: Path) -> None:
    root = write_repository(tmp_path, {"functions/empty/other.py": ""})
    with pytest.raises(PackagingError, match=r"functions/empty has no main\.py"):
        package_all(root, tmp_path / "out")


def test_a_main_without_the_entry_point_is_refused(tmp_path: Path) -> None:
    nested = "class Act:\n    def act(self): ...\n"
    root = write_repository(tmp_path, {"functions/act/main.py": nested})
    with pytest.raises(PackagingError, match=r"functions/act/main\.py does not define act at its top level"):
        package_all(root, tmp_path / "out")


def test_without_pinned_requirements_nothing_is_packaged(tmp_path: Path) -> None:
    root = write_repository(tmp_path)
    (root / "requirements.txt").unlink()
    with pytest.raises(PackagingError, match=r"has no requirements\.txt"):
        package_all(root, tmp_path / "out")


def test_a_refused_function_leaves_no_zip_of_any(tmp_path: Path) -> None:
    root = write_repository(tmp_path, {"functions/broken/main.py": "import local\n", "local/__init__.py": ""})
    with pytest.raises(PackagingError):
        package_all(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_compiled_files_of_a_removed_function_are_no_function(tmp_path: Path) -> None:
    root = write_repository(tmp_path)
    (root / "functions" / "removed" / "__pycache__").mkdir(parents=True)
    assert functions(root) == ["act"]


def test_the_zip_of_a_removed_function_is_removed_too(tmp_path: Path) -> None:
    root, out = (
        write_repository(tmp_path / "repository", {"functions/old/main.py": "def old(event): ...\n"}),
        tmp_path / "out",
    )
    package_all(root, out)
    shutil.rmtree(root / "functions" / "old")
    package_all(root, out, ["act"])
    assert sorted(path.name for path in out.iterdir()) == ["act.sha256", "act.zip", "old.sha256", "old.zip"]
    package_all(root, out)
    assert sorted(path.name for path in out.iterdir()) == ["act.sha256", "act.zip"]


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_repository(tmp_path / "repository")
    assert main(["--root", str(root), "--out", str(tmp_path / "out")]) == 0
    (package,) = package_all(root, tmp_path / "out")
    assert capsys.readouterr().out == (
        f"function  files      kB  sha256\nact           4  {package.bytes / 1000:>6.1f}  {package.sha256[:12]}\n"
    )


def test_the_command_prints_what_terraform_needs_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = write_repository(tmp_path / "repository"), tmp_path / "out"
    assert main(["--root", str(root), "--out", str(out), "--json", "act"]) == 0
    (package,) = json.loads(capsys.readouterr().out)
    assert package["function"] == "act"
    assert package["path"] == str(out / "act.zip")
    assert (out / "act.sha256").read_text() == package["sha256"]


def test_a_function_that_does_not_exist_is_answered_with_those_that_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_repository(tmp_path)
    assert main(["--root", str(root), "--out", str(tmp_path / "out"), "ghost"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"package: {root / 'functions'} has no 'ghost'; there are act\n")


def test_the_page_brings_its_templates_translated_and_always_to_the_same_bytes(tmp_path: Path) -> None:
    """Names in a set come in another order in each process, unless the translation sorts them."""
    found = set()
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        out = tmp_path / seed
        subprocess.run(
            [sys.executable, "-m", "infra.package", "--out", str(out), "status_page"],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
        )
        found.add((out / "status_page.sha256").read_text())
    with zipfile.ZipFile(tmp_path / "1" / "status_page.zip") as archive:
        names = archive.namelist()
    assert len(found) == 1
    assert not [name for name in names if name.endswith(".html")]
    translated = [name for name in names if name.startswith("shared/page/compiled/tmpl_")]
    assert len(translated) == len(list((ROOT / "shared/page/templates").iterdir()))
