"""A write of a recording to the table, and whether it is announced as an event."""

from dataclasses import dataclass

from recordings.domain.lifecycle import Status
from recordings.domain.recording import Recording


@dataclass(frozen=True, slots=True)
class RecordingChange:
    """A recording's item before and after one write; None where there was no such item."""

    before: Recording | None
    after: Recording | None

    @property
    def ids(self) -> dict[str, str | None]:
        """The ids of the recording as it is now, for the log; empty without one."""
        return {} if self.after is None else {"tenant_id": self.after.tenant_id, "recording_id": self.after.id}

    @property
    def transition(self) -> tuple[Status | None, Recording] | None:
        """The status before, and the recording after, if this write is a change of status or an import.

        An import has no status before. None for every other write.
        """
        before, after = self.before, self.after
        if after is None:
            return None
        if before is None:
            # Deleting and undeleting a recording also create an item. Its version then exceeds its history.
            return (None, after) if after.version == len(after.history) else None
        return (before.status, after) if len(after.history) > len(before.history) else None
