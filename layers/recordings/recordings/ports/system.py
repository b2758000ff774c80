"""Clock and ids."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def __call__(self) -> datetime:
        """The time now, aware UTC, in whole seconds."""


class Ids(Protocol):
    def __call__(self, at: datetime) -> str:
        """A new recording id that sorts by `at`."""
