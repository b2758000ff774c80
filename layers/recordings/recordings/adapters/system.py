"""The clock and the sources of ids of the real world."""

import os
import secrets
from datetime import UTC, datetime, timedelta

from ulid import ULID

from recordings.domain.admission import AttemptLimits
from recordings.domain.reconciliation import Deadlines


def now() -> datetime:
    """The time, aware UTC, in whole seconds as the API tells it."""
    return datetime.now(UTC).replace(microsecond=0)


def new_id(at: datetime) -> str:
    """A recording id that sorts by `at`."""
    return f"rec_{ULID.from_datetime(at)}"


def deadlines() -> Deadlines:
    """After how long a state that should pass counts as stuck, as it was deployed."""
    return Deadlines(
        begin=timedelta(seconds=int(os.environ["BEGIN_DEADLINE_SECONDS"])),
        stop=timedelta(seconds=int(os.environ["STOP_DEADLINE_SECONDS"])),
        session=timedelta(seconds=int(os.environ["SESSION_DEADLINE_SECONDS"])),
        second_look=timedelta(seconds=int(os.environ["SECOND_LOOK_SECONDS"])),
        attempts=attempt_limits(),
    )


def attempt_limits() -> AttemptLimits:
    """How often, and how long apart, a file is tried again, as it was deployed."""
    return AttemptLimits(
        max_attempts=int(os.environ["MAX_ATTEMPTS"]),
        first_pause=timedelta(seconds=int(os.environ["ATTEMPT_PAUSE_SECONDS"])),
    )


def new_nonce() -> str:
    """A token that nobody else holds."""
    return secrets.token_hex(16)
