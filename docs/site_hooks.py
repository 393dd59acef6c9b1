"""What the theme's templates lack for screen readers, put in as mkdocs writes a page (``hooks`` of mkdocs.yml)."""

from __future__ import annotations

import re
from typing import Any

_DIALOG = 'data-md-component="search" role="dialog"'
_NAMELESS = re.compile(r"<th( style=\"[^\"]*\")?></th>")


def on_post_page(output: str, **_: Any) -> str:
    """A page as it is written."""
    return mended(output)


def on_post_template(output_content: str, **_: Any) -> str:
    """404.html, which is no page to mkdocs."""
    return mended(output_content)


def mended(html: str) -> str:
    """A name for the search's dialog, and a table's empty corner is no heading."""
    return _NAMELESS.sub(r"<td\1></td>", html.replace(_DIALOG, f'{_DIALOG} aria-label="Search"'))
