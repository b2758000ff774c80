"""When the checksums of parts are stored: several at a time, and never so late that much is lost."""

import pytest

from recordings.domain.errors import InfrastructureError, Throttled
from recordings.domain.transfer import MIB, Segment, TransferPlan
from recordings.services.transfer.checksum_batch import MAX_BATCH, MAX_WAIT_SECONDS, ChecksumBatch
from tests.support.fakes import MemoryPartChecksums


class Stores(MemoryPartChecksums):
    """Notes the part numbers of each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[list[int]] = []
        self.error: Exception | None = None

    def store(self, upload: str, checksums: object) -> None:
        assert upload == "upload"
        assert isinstance(checksums, dict)
        if self.error is not None:
            raise self.error
        self.writes.append(sorted(checksums))
        super().store(upload, checksums)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_batch(part_size: int = 16 * MIB) -> tuple[ChecksumBatch, Stores, Time]:
    plan = TransferPlan(
        source="",
        key="key",
        size=100 * part_size,
        etag=None,
        modified=None,
        ranges=True,
        content_type="video/mp4",
        crc32=None,
        part_size=part_size,
        upload_id="upload",
        segments=(Segment(1, 100),),
        present=False,
    )
    stores, time = Stores(), Time()
    return ChecksumBatch(stores, plan, monotonic=time), stores, time


@pytest.mark.parametrize(
    ("part_size", "parts"),
    [
        pytest.param(1, MAX_BATCH, id="tiny parts: as many as one request takes"),
        pytest.param(16 * MIB, 8, id="128 MiB"),
        pytest.param(64 * MIB, 2, id="large parts"),
        pytest.param(300 * MIB, 1, id="a part of more than a batch"),
    ],
)
def test_a_batch_covers_a_bounded_number_of_bytes_and_parts(part_size: int, parts: int) -> None:
    batch, stores, _ = a_batch(part_size)
    for number in range(1, 2 * parts + 1):
        batch.add(number, number)
    assert stores.writes == [list(range(1, parts + 1)), list(range(parts + 1, 2 * parts + 1))]


def test_a_slow_copy_stores_each_checksum_soon() -> None:
    batch, stores, time = a_batch()
    batch.add(1, 1)
    time.now += MAX_WAIT_SECONDS / 2
    batch.add(2, 2)
    assert stores.writes == []
    time.now += MAX_WAIT_SECONDS / 2
    batch.add(3, 3)
    assert stores.writes == [[1, 2, 3]]
    # The wait begins with the first checksum of a batch.
    time.now += MAX_WAIT_SECONDS
    batch.add(4, 4)
    assert stores.writes == [[1, 2, 3]]
    batch.flush()
    batch.flush()
    assert stores.writes == [[1, 2, 3], [4]]


@pytest.mark.parametrize("error", [Throttled("busy", retry_after=1), InfrastructureError("no permission")])
def test_after_an_error_storing_is_tried_and_its_failure_is_no_second_error(error: Exception) -> None:
    batch, stores, _ = a_batch()
    batch.add(1, 1)
    stores.error = error
    batch.flush_after_error()
    for number in range(1, 8):
        batch.add(number, number)
    with pytest.raises(type(error)):
        batch.add(8, 8)
    stores.error = None
    batch.add(9, 9)
    batch.flush_after_error()
    assert stores.writes == [[9]]
