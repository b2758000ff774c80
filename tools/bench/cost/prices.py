"""The list of prices."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).parents[1] / "prices.toml"
UNCONFIRMED: Final = "unconfirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """`usd` buys `per` units. `read` is a date, or "unconfirmed"."""

    usd: float
    per: float
    unit: str
    page: str
    read: str

    def of(self, amount: float) -> float:
        """Return what so many units cost, in USD."""
        return amount * self.usd / self.per


def read_prices(path: Path = PATH) -> Mapping[str, Price]:
    """Return the prices by what they are for. Raises TypeError if a price is incomplete."""
    return {name: Price(**price) for name, price in tomllib.loads(path.read_text()).items()}
