"""Store the checksums of parts several at a time: a write for each part would take a tenth of a copy's time."""

import threading
import time
from collections.abc import Callable
from typing import Final

from recordings.domain.errors import InfrastructureError, Throttled
from recordings.domain.transfer import MIB, TransferPlan
from recordings.ports.storage import PartChecksums

# What a function that is killed has to copy again at most: the parts whose checksums are not stored yet.
BATCH_BYTES: Final = 128 * MIB
MAX_BATCH: Final = 25
# A slow copy stores each checksum soon. Otherwise a function that reaches its time-out might have stored none.
MAX_WAIT_SECONDS: Final = 5.0


class ChecksumBatch:
    """The checksums of parts that are stored, and whose checksums are not stored yet. Several threads may add.

    A checksum enters after its part was stored. So a stored checksum never claims a part that is not there.
    """

    def __init__(
        self, part_checksums: PartChecksums, plan: TransferPlan, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._part_checksums, self._key, self._monotonic = part_checksums, plan.checksums_key, monotonic
        self._size = max(1, min(MAX_BATCH, BATCH_BYTES // plan.part_size))
        self._lock = threading.Lock()
        self._waiting: dict[int, int] = {}
        self._since = 0.0

    def add(self, number: int, checksum: int) -> None:
        """Add the checksum of a part, and store the batch if it is full or has waited long enough.

        Raises what PartChecksums.store raises. Then the checksums of this batch count as not stored.
        """
        with self._lock:
            if not self._waiting:
                self._since = self._monotonic()
            self._waiting[number] = checksum
            if len(self._waiting) < self._size and self._monotonic() - self._since < MAX_WAIT_SECONDS:
                return
        self.flush()

    def flush(self) -> None:
        """Store the checksums that wait. Raises what PartChecksums.store raises."""
        with self._lock:
            due, self._waiting = self._waiting, {}
        if due:
            self._part_checksums.store(self._key, due)

    def flush_after_error(self) -> None:
        """Store the checksums that wait, if that is possible: the error that ended the copy is the one to report."""
        try:
            self.flush()
        except (Throttled, InfrastructureError):
            # The parts are copied again.
            pass
