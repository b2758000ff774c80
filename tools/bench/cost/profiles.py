"""Kinds of recordings, and how they are used. Other numbers give other costs: change them here and run the command."""

from dataclasses import dataclass, replace
from typing import Final

MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Of one recording, on average.

    `kept_months` is how long its file is kept in all. The share `archived` moves to the archive after `r2_months`, and
    the share `restored` of all recordings is restored and downloaded from there once. With `delivered` Cloudflare puts
    the file into the bucket itself, which is the default (parameter DirectDelivery). Otherwise it is copied.
    """

    name: str
    minutes: int
    size_bytes: int
    delivered: bool
    gets: float
    lists: float
    downloads: float
    archived: float = 0.0
    restored: float = 0.0
    r2_months: int
    kept_months: int


MEETINGS: Final = Profile(
    name="meetings",
    minutes=30,
    size_bytes=500 * MB,
    delivered=True,
    gets=4,
    lists=5,
    downloads=2,
    archived=0.2,
    restored=0.01,
    r2_months=2,
    kept_months=12,
)
COPIED_MEETINGS: Final = replace(MEETINGS, name="meetings, copied", delivered=False)
LECTURES: Final = Profile(
    name="lectures",
    minutes=90,
    size_bytes=1500 * MB,
    delivered=True,
    gets=20,
    lists=40,
    downloads=30,
    archived=0.9,
    restored=0.05,
    r2_months=6,
    kept_months=24,
)
CALLS: Final = Profile(
    name="calls",
    minutes=8,
    size_bytes=60 * MB,
    delivered=True,
    gets=1,
    lists=1,
    downloads=0.1,
    r2_months=3,
    kept_months=3,
)
PROFILES: Final = (MEETINGS, COPIED_MEETINGS, LECTURES, CALLS)
