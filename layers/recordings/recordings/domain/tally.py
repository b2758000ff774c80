"""Day tallies: counters of the recordings that were created on one day and are not deleted."""

from datetime import datetime

from recordings.domain.recording import Recording


def day_of(at: datetime) -> str:
    """Return the day that counts a recording with this `created_at`, as a UTC date: `2026-01-06`."""
    return at.strftime("%Y-%m-%d")


def difference(before: Recording | None, after: Recording | None) -> dict[str, int]:
    """Return what a change adds to the counters of its day, without zeros.

    The counters are `total`, `status_<status>`, `seconds` and `bytes`. A deleted recording counts as None.
    """
    counters: dict[str, int] = {}
    for recording, sign in ((before, -1), (after, 1)):
        if recording is None or recording.deleted_at is not None:
            continue
        for name, amount in (
            ("total", 1),
            (f"status_{recording.status}", 1),
            ("seconds", recording.duration_seconds or 0),
            ("bytes", recording.size_bytes or 0),
        ):
            counters[name] = counters.get(name, 0) + sign * amount
    return {name: amount for name, amount in counters.items() if amount}
