"""The source of the documentation site, put together from the repository: ``python -m docs.site`` writes build/docs for ``make docs``.

The documents are written to be read in the repository, where README.md links to docs/policy.md and that one to ../infra. Here each becomes a
page, links between pages are kept, and a link to a file that has no page becomes its name, or, where ``REPOSITORY_URL`` says where the files
can be seen (``https://example.com/rollouts/blob/main``), a link to there.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import PurePosixPath

from docs.generate import ROOT

OUT = ROOT / "build" / "docs"
_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
_SHOWN = ("*.md", "*.svg", "*.png", "*.yaml", "*.json", "*.csv", "*.css", "*.js")
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<to>[^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Write all pages anew."""
    if OUT.exists():
        shutil.rmtree(OUT)
    places = pages()
    for source, page in places.items():
        to = OUT / page
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            text = (ROOT / source).read_text(encoding="utf-8")
            to.write_text(rewritten(text, source, places, os.environ.get("REPOSITORY_URL", "")), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / source, to)
    print(f"{len(places)} files in {OUT.relative_to(ROOT)}, version {version()}")
    return 0


def version() -> str:
    """The project's."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def pages() -> dict[str, str]:
    """Every file of the site: its path in the repository, and in the site."""
    found = {name: page for name, page in _PAGES.items() if (ROOT / name).is_file()}
    for pattern in _SHOWN:
        for path in sorted((ROOT / "docs").rglob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            found[place] = place.removeprefix("docs/")
    return found


def rewritten(text: str, source: str, places: Mapping[str, str], repository: str = "") -> str:
    """A document as a page; what stands in code is left alone."""
    parts = _FENCE.split(text)
    return "".join(
        part if number % 2 else _LINK.sub(lambda found: _link(found, source, places, repository), part)
        for number, part in enumerate(parts)
    )


def _link(found: re.Match[str], source: str, places: Mapping[str, str], repository: str) -> str:
    to = found["to"]
    if re.match(r"[a-z]+:|#", to):
        return found[0]
    name, _, anchor = to.partition("#")
    target = os.path.normpath(PurePosixPath(source).parent / name)
    if target in places:
        here = PurePosixPath(places[source]).parent
        relative = os.path.relpath(places[target], here)
        # A link around a picture has one inside.
        inner = _LINK.sub(lambda inside: _link(inside, source, places, repository), found["text"])
        return f"{found['image']}[{inner}]({relative}{f'#{anchor}' if anchor else ''})"
    return f"[{found['text']}]({repository.rstrip('/')}/{target})" if repository else found["text"]


if __name__ == "__main__":
    sys.exit(main())
