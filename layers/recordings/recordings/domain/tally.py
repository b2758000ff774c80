"""Day tallies: what the live recordings created on one day add up to."""

from datetime import datetime

from recordings.domain.recording import Recording


def day_of(at: datetime) -> str:
    """The day a recording is counted under: the UTC date of its `created_at`."""
    return at.strftime("%Y-%m-%d")


def difference(before: Recording | None, after: Recording | None) -> dict[str, int]:
    """What a change adds to its day's counters (`total`, `status_<status>`, `seconds`, `bytes`); zeroes left out.

    A deleted recording counts as none.
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
