"""One zip per function, as it is deployed: ``python -m infra.package [--out FOLDER] [NAME...]``.

``main.py`` stands at the root, beside exactly the parts of ``shared`` that it imports, without comments and docstrings, and the pinned
requirements. The same sources give the
same bytes: names are sorted, dates and modes are fixed. Only another zlib deflates otherwise, so beside each zip stands the hash of what
is in it (``NAME.sha256``), and that is what Terraform names the source by: functions that nobody changed are not deployed again.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import stat
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.bare import bare
from infra.reachable import Known, PackagingError, reachable
from infra.templates import with_compiled_templates

ROOT = Path(__file__).parent.parent
_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""
_MODE = stat.S_IFREG | 0o644
_UNIX = 3
"""The system whose modes the zip carries; Python would write the one that it runs on."""


@dataclass(frozen=True)
class Package:
    """One zip that was written."""

    function: str
    path: str
    files: int
    bytes: int
    sha256: str
    """Of what is in it, names and bytes, in hexadecimal digits; also in ``NAME.sha256`` beside the zip."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the zips and say what is in them; 1 when a function cannot be packaged."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description="One zip per function.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="functions to package; all when none is named")
    parser.add_argument("--out", type=Path, default=Path("build/functions"), help="where the zips go")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    options = parser.parse_args(arguments)
    try:
        packages = package_all(options.root.resolve(), options.out, options.names)
    except PackagingError as exc:
        print(f"package: {exc}", file=sys.stderr)
        return 1
    print(json.dumps([asdict(package) for package in packages], indent=2) if options.json else table(packages))
    return 0


def package_all(root: Path, out: Path, names: Sequence[str] = ()) -> list[Package]:
    """Write the zips of the named functions into ``out``; without names all, and zips of functions that are gone are removed."""
    known = functions(root)
    if unknown := sorted(set(names) - set(known)):
        raise PackagingError(f"{root / 'functions'} has no {unknown[0]!r}; there are {', '.join(known) or 'none'}")
    seen: Known = {}
    contents = {name: with_compiled_templates(root, contents_of(root, name, seen)) for name in sorted(names) or known}
    out.mkdir(parents=True, exist_ok=True)
    packages = [_write(out / f"{name}.zip", name, files) for name, files in contents.items()]
    if not names:
        for stale in [*out.glob("*.zip"), *out.glob("*.sha256")]:
            if stale.stem not in known:
                stale.unlink()
    return packages


def functions(root: Path) -> list[str]:
    """The folders of ``functions/``; one that holds nothing but compiled files of the past is none."""
    folders = sorted(path for path in (root / "functions").glob("*") if path.is_dir())
    return [folder.name for folder in folders if any(entry.name != "__pycache__" for entry in folder.iterdir())]


def contents_of(root: Path, name: str, known: Known) -> dict[str, Path]:
    """What the zip of one function holds: name in the zip to file."""
    main = root / "functions" / name / "main.py"
    requirements = root / "requirements.txt"
    if not main.is_file():
        raise PackagingError(f"functions/{name} has no main.py; a function is a folder with one")
    if not requirements.is_file():
        raise PackagingError(f"{root} has no requirements.txt; a function is deployed with the pinned requirements")
    files = {path.relative_to(root).as_posix(): path for path in reachable(root, main, known)}
    if not _defines(main, name):
        raise PackagingError(
            f"functions/{name}/main.py does not define {name} at its top level; the entry point is named like the folder"
        )
    return {"main.py": main, "requirements.txt": requirements, **files}


def table(packages: Sequence[Package]) -> str:
    """The packages for people."""
    width = max(len("function"), *(len(package.function) for package in packages))
    lines = [f"{'function':<{width}}  {'files':>5}  {'kB':>6}  sha256"]
    lines += [f"{p.function:<{width}}  {p.files:>5}  {p.bytes / 1000:>6.1f}  {p.sha256[:12]}" for p in packages]
    return "\n".join(lines)


def _defines(main: Path, name: str) -> bool:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, kinds) and node.name == name for node in ast.parse(main.read_bytes()).body)


def _content(entry: str, file: Path | bytes) -> bytes:
    content = file if isinstance(file, bytes) else file.read_bytes()
    return bare(content.decode()).encode() if entry.startswith("shared/") and entry.endswith(".py") else content


def _write(path: Path, name: str, files: dict[str, Path | bytes]) -> Package:
    """The zip, complete or not at all: Terraform may look at any moment."""
    unfinished = path.with_suffix(".zip.part")
    seen = hashlib.sha256()
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry in sorted(files):
            info = zipfile.ZipInfo(entry, _DATE)
            info.external_attr = _MODE << 16
            info.create_system = _UNIX
            info.compress_type = zipfile.ZIP_DEFLATED
            content = _content(entry, files[entry])
            archive.writestr(info, content, compresslevel=9)
            seen.update(f"{entry}\0{len(content)}\0".encode() + content)
    unfinished.replace(path)
    path.with_suffix(".sha256").write_text(seen.hexdigest())
    return Package(name, str(path), len(files), path.stat().st_size, seen.hexdigest())


if __name__ == "__main__":
    sys.exit(main())
