"""Recordings, times and sizes in words."""

from collections.abc import Iterator
from datetime import UTC, datetime

from recordings_client.models import Recording


def facts_of(recording: Recording) -> Iterator[tuple[str, str | None]]:
    """Yield name and value of each line of `recordings show`; None if there is no value."""
    yield "recording", recording.id
    yield "room", " ".join(filter(None, (recording.room.id, recording.room.name)))
    yield "status", line_of(recording)
    yield "length", length(recording.duration_seconds)
    yield "size", size(recording.size_bytes)
    yield "started", instant(recording.started_at)
    yield "stopped", instant(recording.stopped_at)
    yield "archived", instant(recording.archived_at)
    yield "stored in", recording.provider
    yield "started by", recording.origin
    if recording.archive_error:
        yield "archive error", recording.archive_error.message
    for change in recording.history:
        yield "history", f"{instant(change.at)} {change.status} ({change.cause})"


def line_of(recording: Recording) -> str:
    """Describe the state of a recording in one line."""
    words = [str(recording.status)]
    if recording.partial:
        words.append("(partial)")
    if recording.failure:
        words.append(f"({recording.failure.code}: {recording.failure.message})")
    if recording.archive:
        words.append(recording.archive.state)
        if recording.archive.expected_at:
            words.append(f"expected {instant(recording.archive.expected_at)}")
        if recording.archive.restored_until:
            words.append(f"until {instant(recording.archive.restored_until)}")
    if recording.progress:
        words.append(recording.progress.step)
        done, total = recording.progress.bytes_done, recording.progress.bytes_total
        if done is not None and total:
            words.append(f"{size(done)} of {size(total)} ({100 * done // total} %)")
        if recording.progress.stalled:
            words.append("stalled")
    return " ".join(words)


def instant(at: datetime | None) -> str | None:
    """Format a time in UTC, as the API does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def length(seconds: int | None) -> str | None:
    """Format a duration as h:mm:ss."""
    return None if seconds is None else f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def size(count: int | None) -> str | None:
    """Format a number of bytes with a decimal unit."""
    if count is None:
        return None
    shown, units = float(count), iter(("B", "kB", "MB", "GB"))
    for unit in units:
        if shown < 1000:
            return f"{count} B" if unit == "B" else f"{shown:.1f} {unit}"
        shown /= 1000
    return f"{shown:.1f} TB"
