"""What a function's imports reach, and which imports are refused before they fail where it is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.reachable import PackagingError, reachable
from tests.infra.repository import write_repository


def found(root: Path) -> list[str]:
    files = reachable(root, root / "functions" / "act" / "main.py", {})
    return [path.relative_to(root).as_posix() for path in files]


def test_what_is_imported_comes_along_and_what_is_not_stays(tmp_path: Path) -> None:
    write_repository(tmp_path, {"shared/a.py": "import shared.b\n", "shared/b.py": "", "shared/c.py": ""})
    assert found(tmp_path) == ["shared/__init__.py", "shared/a.py", "shared/b.py"]


def test_a_name_that_is_a_module_comes_along_with_the_packages_on_the_way(tmp_path: Path) -> None:
    names = ("p/__init__", "p/q/__init__", "p/q/r", "p/q/s")
    files = {f"shared/{name}.py": "not_a_module = 1\n" for name in names}
    write_repository(tmp_path, {**files, "shared/a.py": "from shared.p.q import r, not_a_module\n"})
    packages = ["shared/p/__init__.py", "shared/p/q/__init__.py"]
    assert found(tmp_path) == ["shared/__init__.py", "shared/a.py", *packages, "shared/p/q/r.py"]


def test_an_import_inside_a_function_counts(tmp_path: Path) -> None:
    lazy = "def f():\n    try:\n        from shared.b import y\n    except ImportError:\n        from shared import c\n"
    write_repository(tmp_path, {"shared/a.py": lazy, "shared/b.py": "", "shared/c.py": ""})
    assert found(tmp_path) == ["shared/__init__.py", "shared/a.py", "shared/b.py", "shared/c.py"]


@pytest.mark.parametrize(
    ("imported", "test"),
    [("from typing import TYPE_CHECKING", "TYPE_CHECKING"), ("import typing", "typing.TYPE_CHECKING")],
)
def test_what_only_a_type_checker_reads_stays_behind(tmp_path: Path, imported: str, test: str) -> None:
    text = f"{imported}\n\nif {test}:\n    from shared.b import Y\nelse:\n    from shared.c import Y\n"
    write_repository(tmp_path, {"shared/a.py": text, "shared/b.py": "", "shared/c.py": ""})
    assert found(tmp_path) == ["shared/__init__.py", "shared/a.py", "shared/c.py"]


def test_relative_imports_and_circles_are_followed(tmp_path: Path) -> None:
    write_repository(
        tmp_path,
        {"shared/a.py": "from . import b\n", "shared/b.py": "from .a import x\nfrom .c import z\n", "shared/c.py": ""},
    )
    assert found(tmp_path) == ["shared/__init__.py", "shared/a.py", "shared/b.py", "shared/c.py"]


def test_the_data_of_a_package_goes_where_the_package_goes(tmp_path: Path) -> None:
    names = ("p/__init__.py", "p/prices.json", "p/py.typed", "p/templates/page.html", "p/p.pyc")
    others = ("q/__init__.py", "q/other.json", "p/q/__init__.py", "p/q/other.json")
    files = {f"shared/{name}": "" for name in names + others}
    write_repository(tmp_path, {**files, "shared/a.py": "import shared.p\n"})
    assert found(tmp_path) == [
        "shared/__init__.py",
        "shared/a.py",
        *sorted(f"shared/{name}" for name in (names[0], names[1], names[3])),
    ]


def test_a_module_that_does_not_exist_is_named_with_the_line_that_wants_it(tmp_path: Path) -> None:
    write_repository(tmp_path, {"shared/a.py": "x = 1\n\nfrom shared.ghost import y\n"})
    with pytest.raises(PackagingError, match=r"shared/a\.py:3 imports shared\.ghost, which is not in"):
        found(tmp_path)


def test_a_package_without_an_init_is_refused(tmp_path: Path) -> None:
    write_repository(tmp_path, {"shared/a.py": "import shared.p.b\n", "shared/p/b.py": ""})
    with pytest.raises(PackagingError, match=r"imports shared\.p\.b, and .*__init__\.py is missing"):
        found(tmp_path)


@pytest.mark.parametrize(
    "statement",
    ["import local.host", "from local import host", "import settings", "import helper", "from . import helper"],
    ids=["sibling", "name in a sibling", "module at the root", "module beside main", "relative"],
)
def test_what_is_not_deployed_may_not_be_imported(tmp_path: Path, statement: str) -> None:
    write_repository(
        tmp_path,
        {
            "functions/act/main.py": f"{statement}\n\n\ndef act(event): ...\n",
            "functions/act/helper.py": "",
            "local/__init__.py": "",
            "settings.py": "",
        },
    )
    with pytest.raises(PackagingError, match=r"functions/act/main\.py:1 imports [\w.]+, which is not deployed"):
        found(tmp_path)


def test_modules_of_others_may_be_called_like_ours(tmp_path: Path) -> None:
    """A module of ours does not hide the library, which is looked for at the top level."""
    write_repository(tmp_path, {"shared/a.py": "import pydantic, json\n", "shared/pydantic.py": ""})
    assert found(tmp_path) == ["shared/__init__.py", "shared/a.py"]


def test_a_file_that_is_no_python_is_named_with_its_line(tmp_path: Path) -> None:
    write_repository(tmp_path, {"shared/a.py": "x = 1\ndef\n"})
    with pytest.raises(PackagingError, match=r"shared/a\.py:2 cannot be read as Python"):
        found(tmp_path)


@pytest.mark.parametrize(("module", "why"), [("yaml", "comes with PyYAML"), ("ghost", "no installed package brings")])
def test_a_library_that_is_not_deployed_may_not_be_imported(tmp_path: Path, module: str, why: str) -> None:
    write_repository(tmp_path, {"shared/a.py": f"def f():\n    import {module}\n"})
    with pytest.raises(PackagingError, match=rf"shared/a\.py:2 imports {module}, which {why}.*pin it there"):
        found(tmp_path)
