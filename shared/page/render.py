"""Templates to HTML: everything is escaped, what is missing is an error, and nothing is fetched from anywhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, ModuleLoader, StrictUndefined
from markupsafe import Markup

from shared.page import words
from shared.rollout.record import Verdict
from shared.view.standing import STATES

HERE = Path(__file__).parent
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # Nothing inline, nothing from elsewhere: what a model's name or a reason contains can at most be read.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TEMPLATES = HERE / "templates"
COMPILED = HERE / "compiled"
"""Where a deployed function has its templates, as Python: it should not translate them before its first page (``infra.templates``)."""
KEPT = "public, max-age=31536000, immutable"
"""Of files whose name changes with what is in them."""


@lru_cache(maxsize=1)
def files() -> Mapping[str, tuple[bytes, str]]:
    """Style, script and icon by the name under which they are served, which has a digest in it: content and type."""
    found = {}
    for path in sorted(HERE.glob("page.*")):
        if path.suffix in TYPES:
            content = path.read_bytes()
            found[f"page-{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"] = (content, TYPES[path.suffix])
    return found


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates, filters and what every template may use."""
    made = Environment(
        loader=ModuleLoader(COMPILED) if COMPILED.is_dir() else FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "moment": moment,
        "percent": lambda value: f"{value * 100:.3g} %",
        "number": lambda value: f"{value:.4g}",
        "words": lambda text: str(text).replace("_", " "),
        "marked": marked,
        "usd": lambda value: f"${value:,.2f}",
    }
    names = {Path(name).suffix.removeprefix("."): name for name in files()}
    made.globals |= {"static": names, "Verdict": Verdict, "commands": words.COMMANDS, "phase_words": words.PHASES}
    made.globals["state_icons"] = {state: icon for state, (icon, _) in STATES.items()}
    return made


def moment(at: datetime) -> Markup:
    """A time in UTC, with the same for programs; the script adds the reader's own."""
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M} UTC")


def marked(text: str) -> Markup:
    """A sentence with what stands in backticks, a command, set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return Markup.escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else Markup.escape(part) for i, part in enumerate(parts)
    )


def render(template: str, **values: Any) -> str:
    """The whole page."""
    return environment().get_template(template).render(**values)
