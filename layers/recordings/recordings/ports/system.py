"""Clock and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    def __call__(self) -> datetime:
        """The time now, aware UTC, in whole seconds."""


class Ids(Protocol):
    def __call__(self, at: datetime) -> str:
        """A new recording id that sorts by `at`."""
