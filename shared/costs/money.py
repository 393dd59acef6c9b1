"""Amounts of money: exact decimals, rounded to the cent where a person reads them and nowhere before."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from math import fsum

CENT = Decimal("0.01")
MONTH = Decimal(720)
"""Hours of the month by which rates are compared: 30 days. A calendar month has 672 to 744."""
UNKNOWN = "unknown"


def cents(amount: Decimal) -> Decimal:
    """Rounded to the cent, halves up, as a bill is."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def usd(amount: Decimal | None) -> str:
    """``$1,471.96``, ``-$3.20``; what is unknown is never 0."""
    if amount is None:
        return UNKNOWN
    rounded = cents(amount)
    return f"{'-' if rounded < 0 else ''}${abs(rounded):,.2f}"


def rate(amount: Decimal | None) -> str:
    """A price an hour: ``$0.21850``."""
    return UNKNOWN if amount is None else f"${amount:.5f}"


def hours(values: Iterable[float]) -> Decimal:
    """The sum of many measured numbers, to a millionth: what floating point adds beyond that is noise."""
    return Decimal(repr(round(fsum(values), 6)))


def total(amounts: Iterable[Decimal | None]) -> Decimal:
    """The sum of what is known; who calls says beside it what is not."""
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
