"""The list of prices."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).parents[1] / "prices.toml"
UNCONFIRMED: Final = "unconfirmed"
# R2's operations by the class of their price (R2, "Pricing"). Deleting and aborting are free.
R2_CLASS_A: Final = frozenset(
    {
        *("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"),
        *("ListParts", "ListMultipartUploads", "ListObjectsV2"),
    }
)
R2_CLASS_B: Final = frozenset({"HeadObject", "GetObject"})


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
