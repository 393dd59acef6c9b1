"""The prices that hold here: the shipped ones, under those that people have put into force, under files of this deployment."""

from __future__ import annotations

from pathlib import Path

from shared.costs.prices import PriceBook, book_from, read_prices
from shared.wiring import World


def prices_in_force(world: World) -> PriceBook:
    """``PRICES`` names files, separated by commas, the last on top."""
    files = [Path(path) for path in world.environment.get("PRICES", "").split(",") if path]
    kept = world.store.prices.text()
    return book_from(files, read_prices(kept, "the prices of the store")) if kept else book_from(files)
