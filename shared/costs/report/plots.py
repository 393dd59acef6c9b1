"""The plots of the report: SVG that takes its colours from the page, so that it follows light, dark and print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from math import isnan

from markupsafe import Markup

from shared.costs.audit import Audit
from shared.costs.fleet import Steps
from shared.costs.money import usd

ROLES = ("stable", "candidate", "fallback", "shadow", "forgotten", "gone")
POINTS = 48
"""So many points a sparkline has at most: of each run of neighbours the largest, so that no peak is lost."""


def days(costs: Sequence[tuple[date, Decimal]]) -> Markup:
    """A bar per day of the window."""
    if not costs:
        return Markup("")
    width, height, left, bottom = 720, 150, 60, 26
    highest = float(max(amount for _, amount in costs)) or 1.0
    top = _round_up(highest)
    step = (width - left) / len(costs)
    parts = [
        _text(left - 6, y, usd(Decimal(repr(value))).removesuffix(".00"), "end") + _rule(left, width, y)
        for value, y in _grid(top, height)
    ]
    for place, (day, amount) in enumerate(costs):
        tall = float(amount) / top * (height - 10)
        x = left + place * step
        parts.append(
            Markup(
                '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1"><title>{}: {}</title></rect>'
            ).format(x + step * 0.12, height - tall, step * 0.76, tall, f"{day:%Y-%m-%d}", usd(amount))
        )
        if place % max(1, len(costs) // 6) == 0:
            parts.append(_text(x + step / 2, height + 20, f"{day:%d %b}", "middle"))
    return _svg(width, height + bottom, "Cost of each day", parts)


def roles(audit: Audit) -> Markup:
    """One bar: what of the window's cost went to which role; its key is text, which is readable at any width."""
    amounts = dict.fromkeys(ROLES, Decimal(0))
    for role, _, cost in audit.by_role():
        amounts[role] += cost.usd or 0
    whole = sum(amounts.values())
    if not whole:
        return Markup("")
    width, x, parts, key = 720, 0.0, [], []
    for role, amount in amounts.items():
        if not amount:
            continue
        wide = float(amount / whole) * width
        parts.append(
            Markup('<rect class="role {}" x="{:.1f}" y="-12" width="{:.1f}" height="26"/>').format(
                role, x, max(wide - 1.5, 0.8)
            )
        )
        key.append(Markup('<span><i class="{}"></i>{} {}</span>').format(role, role, usd(amount)))
        x += wide
    return _svg(width, 14, "Cost by role", parts) + Markup('<p class="key">{}</p>').format(Markup(" ").join(key))


def models(audit: Audit, most: int = 12) -> Markup:
    """A bar per model, cut into its versions."""
    versions: dict[str, dict[str, Decimal]] = {}
    for one in audit.holdings:
        if one.cost.usd:
            of_model = versions.setdefault(one.deployed.model, {})
            of_model[one.deployed.version] = of_model.get(one.deployed.version, Decimal(0)) + one.cost.usd
    ranked = sorted(versions.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:most]
    if not ranked:
        return Markup("")
    width, left, row, room = 720, 210, 24, 120
    largest = float(sum(ranked[0][1].values())) or 1.0
    parts = []
    for place, (model, amounts) in enumerate(ranked):
        y, x = place * row, float(left)
        parts.append(_text(left - 8, y + 16, model if len(model) <= 32 else model[:31] + "…", "end"))
        for shade, (version, amount) in enumerate(sorted(amounts.items(), key=lambda item: -item[1])):
            wide = float(amount) / largest * (width - left - room)
            parts.append(
                Markup(
                    '<rect class="version v{}" x="{:.1f}" y="{}" width="{:.1f}" height="16"><title>{}@{}: {}</title></rect>'
                ).format(min(shade, 3), x, y + 4, max(wide - 1, 0.6), model, version, usd(amount))
            )
            x += wide
        parts.append(_text(x + 6, y + 16, usd(sum(amounts.values(), Decimal(0))), "start"))
    return _svg(width, row * len(ranked) + 4, "Cost by model and version", parts)


def sparkline(series: Steps | None, limit: float | None = None) -> Markup:
    """The course of one series, from 0 to its highest value or the limit; the limit is a dashed line."""
    values = [value for value in series or () if not isnan(value)]
    if len(values) < 2:
        return Markup("")
    bounds = [round(i * len(values) / min(POINTS, len(values))) for i in range(min(POINTS, len(values)) + 1)]
    thin = [max(values[a:b]) for a, b in pairwise(bounds)]
    top = max([*thin, limit or 0.0]) or 1.0
    width, height = 96, 22
    points = " ".join(
        f"{i * width / (len(thin) - 1):.0f},{height - 1 - value / top * (height - 2):.1f}"
        for i, value in enumerate(thin)
    )
    line = ""
    if limit:
        y = f"{height - 1 - limit / top * (height - 2):.1f}"
        line = f'<line class="limit" x1="0" x2="{width}" y1="{y}" y2="{y}"/>'
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">'
        f'{line}<polyline points="{points}"/></svg>'
    )


def _grid(top: float, height: int) -> list[tuple[float, float]]:
    return [(top * part, height - part * (height - 10)) for part in (0, 0.5, 1)]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, ... so that the axis has round numbers."""
    size = 1.0
    while size < value:
        for factor in (2.0, 2.5, 2.0):
            size *= factor
            if size >= value:
                break
    return size


def _rule(left: float, right: float, y: float) -> Markup:
    return Markup('<line class="rule" x1="{:.0f}" x2="{:.0f}" y1="{:.1f}" y2="{:.1f}"/>').format(left, right, y, y)


def _text(x: float, y: float, said: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, said)


def _svg(width: int, height: int, title: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 -12 {} {}" role="img" aria-label="{}">').format(width, height + 12, title)
    return opening + Markup("").join(parts) + Markup("</svg>")
