"""Where the parts of a segment come from and go to: from Cloudflare to R2, or from R2 to the archive bucket."""

from dataclasses import dataclass, field

from recordings.domain.reconciliation import Deadlines
from recordings.domain.transfer import Attempt, TransferPlan
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.storage import ArchiveStore, ObjectStore, PartChecksums, SourceReader
from recordings.ports.system import Clock
from recordings.services.transfer.attempts import get_moving, get_waiting
from recordings.services.transfer.parts import PartTransfer
from recordings.services.transfer.provider_file import ProviderFileUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class FromProvider:
    """Base of what reads a file at Cloudflare for the attempt that waits for it."""

    recordings: Recordings
    provider: RecordingProvider
    store: ObjectStore
    source: SourceReader
    part_checksums: PartChecksums
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)

    def parts_of(self, attempt: Attempt, plan: TransferPlan) -> PartTransfer:
        """Return the parts of a plan; each effect requires that the recording still waits for this attempt."""
        urls = ProviderFileUrl(
            recordings=self.recordings, provider=self.provider, clock=self.clock, deadlines=self.deadlines
        )
        return PartTransfer(
            plan=plan,
            store=self.store,
            source=self.source,
            part_checksums=self.part_checksums,
            find_source=lambda: urls.of_attempt(attempt),
            require_current=lambda: get_waiting(self.recordings, attempt),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FromR2:
    """Base of what reads a file in R2 for the move to the archive bucket."""

    recordings: Recordings
    archive: ArchiveStore
    source: SourceReader
    part_checksums: PartChecksums

    def parts_of(self, attempt: Attempt, plan: TransferPlan) -> PartTransfer:
        """Return the parts of a plan; each effect requires that this attempt still moves the recording."""
        return PartTransfer(
            plan=plan,
            store=self.archive,
            source=self.source,
            part_checksums=self.part_checksums,
            find_source=lambda: plan.source,
            require_current=lambda: get_moving(self.recordings, attempt),
        )
