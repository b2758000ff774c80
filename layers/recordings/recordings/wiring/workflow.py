"""Builds the services of the functions in functions/workflow/.

Each builder imports its adapters, so that a function loads only what it uses.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from recordings import settings
from recordings.wiring.shared import CALL_CLOUDFLARE, USE_FILES, attempt_limits, deadlines, provider

if TYPE_CHECKING:
    from recordings.domain.recording import Recording
    from recordings.services.transfer.admit_file import AdmitFile
    from recordings.services.transfer.move_to_archive import AbandonArchive, BeginArchive, FinishArchive, PlanArchive
    from recordings.services.transfer.process_recording import (
        CheckUpload,
        CloudflareUrl,
        MarkFailed,
        MarkStalled,
        PlanTransfer,
    )
    from recordings.services.transfer.transfer_file import (
        CheckSegment,
        CompleteTransfer,
        CopySegment,
        Uploads,
        VerifyTransfer,
    )
    from recordings.workflow.task import TaskTokens

# What the tasks read that fetch from Cloudflare, and those that move a file to the archive.
FETCH: Final = (*CALL_CLOUDFLARE, *USE_FILES, settings.SOURCE, settings.DEADLINES, settings.ATTEMPTS)
MOVE: Final = (settings.TABLE, *USE_FILES, settings.ARCHIVE)

type OnCopied = Callable[[int], object]
type OnStored = Callable[["Recording"], object]


def task_tokens() -> "TaskTokens":
    from recordings.adapters.aws.task_tokens import complete_task, fail_task
    from recordings.workflow.task import TaskTokens

    return TaskTokens(complete=complete_task, fail=fail_task)


# ---------------------------------------------------------------------------------------------------------- processing


def check_upload() -> "CheckUpload":
    settings.require(*CALL_CLOUDFLARE, *USE_FILES, settings.UPLOAD, settings.DEADLINES, settings.ATTEMPTS)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.process_recording import CheckUpload

    return CheckUpload(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        files=R2Bucket(),
        clock=now,
        stall_after=settings.UPLOAD().stall_after,
        deadlines=deadlines(),
    )


def plan_transfer() -> "PlanTransfer":
    settings.require(*FETCH)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.storage.media import read_media_facts
    from recordings.adapters.storage.source import UrlReader
    from recordings.adapters.system import now
    from recordings.services.transfer.process_recording import PlanTransfer

    return PlanTransfer(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        files=R2Bucket(),
        reader=UrlReader(),
        read_media_facts=read_media_facts,
        clock=now,
        deadlines=deadlines(),
    )


def copy_segment(*, on_copied: OnCopied) -> "CopySegment":
    """Build the copy from Cloudflare to R2. `on_copied` receives the number of bytes, now and then."""
    settings.require(*FETCH)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.storage.source import UrlReader
    from recordings.services.transfer.process_recording import NoteCopied, ProcessingFence
    from recordings.services.transfer.transfer_file import CopySegment, Work

    recordings = DynamoRecordings()
    note_copied = NoteCopied(recordings=recordings)

    def progressing(work: Work, copied: int) -> None:
        note_copied(work, copied)
        on_copied(copied)

    return CopySegment(
        locate=_cloudflare_url(),
        fence=ProcessingFence(recordings=recordings),
        files=R2Bucket(),
        reader=UrlReader(),
        sums=DynamoPartChecksums(),
        progressing=progressing,
    )


def check_segment() -> "CheckSegment":
    settings.require(*FETCH)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.storage.source import UrlReader
    from recordings.services.transfer.process_recording import ProcessingFence
    from recordings.services.transfer.transfer_file import CheckSegment

    return CheckSegment(
        locate=_cloudflare_url(),
        fence=ProcessingFence(recordings=DynamoRecordings()),
        files=R2Bucket(),
        reader=UrlReader(),
        sums=DynamoPartChecksums(),
    )


def _cloudflare_url() -> "CloudflareUrl":
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import now
    from recordings.services.transfer.process_recording import CloudflareUrl

    return CloudflareUrl(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        clock=now,
        deadlines=deadlines(),
    )


def complete_transfer() -> "CompleteTransfer":
    settings.require(settings.TABLE, *USE_FILES)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.services.transfer.process_recording import ProcessingFence
    from recordings.services.transfer.transfer_file import CompleteTransfer

    return CompleteTransfer(
        files=R2Bucket(), sums=DynamoPartChecksums(), fence=ProcessingFence(recordings=DynamoRecordings())
    )


def verify_transfer() -> "VerifyTransfer":
    settings.require(*USE_FILES)
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.storage.media import read_media_facts
    from recordings.services.transfer.transfer_file import VerifyTransfer

    return VerifyTransfer(files=R2Bucket(), read_media_facts=read_media_facts)


def mark_ready(*, on_stored: OnStored) -> "AdmitFile":
    """`on_stored` receives the recording after each decision that is stored: ready, failed or another attempt."""
    settings.require(*CALL_CLOUDFLARE, *USE_FILES, settings.ATTEMPTS)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.admit_file import AdmitFile

    return AdmitFile(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        files=R2Bucket(),
        clock=now,
        limits=attempt_limits(),
        on_stored=on_stored,
    )


def mark_failed(*, on_stored: OnStored) -> "MarkFailed":
    """`on_stored` receives the recording after it has become failed, or ready with a file that was held."""
    settings.require(settings.TABLE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import now
    from recordings.services.transfer.process_recording import MarkFailed

    return MarkFailed(recordings=DynamoRecordings(), clock=now, on_stored=on_stored)


def mark_stalled(*, on_stored: OnStored) -> "MarkStalled":
    """`on_stored` receives the recording when it is flagged as stalled."""
    settings.require(settings.TABLE, *USE_FILES, settings.ATTEMPTS)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.process_recording import MarkStalled

    return MarkStalled(
        recordings=DynamoRecordings(), files=R2Bucket(), clock=now, limits=attempt_limits(), on_stored=on_stored
    )


def abort_transfer() -> "Uploads":
    settings.require(*USE_FILES)
    from recordings.adapters.storage.bucket import R2Bucket

    return R2Bucket()


# ----------------------------------------------------------------------------------------------------------- archiving


def begin_archive() -> "BeginArchive":
    settings.require(settings.TABLE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.services.transfer.move_to_archive import BeginArchive

    return BeginArchive(recordings=DynamoRecordings())


def plan_archive() -> "PlanArchive":
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.storage.source import BucketReader
    from recordings.adapters.system import now
    from recordings.services.transfer.move_to_archive import PlanArchive

    return PlanArchive(recordings=DynamoRecordings(), reader=BucketReader(R2Bucket()), files=ArchiveBucket(), clock=now)


def copy_to_archive(*, on_copied: OnCopied) -> "CopySegment":
    """Build the copy from R2 to the archive bucket. `on_copied` receives the number of bytes, now and then."""
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.storage.source import BucketReader
    from recordings.services.transfer.move_to_archive import ArchiveFence, NoteMoved, key_in_r2
    from recordings.services.transfer.transfer_file import CopySegment, Work

    recordings = DynamoRecordings()
    note_moved = NoteMoved(recordings=recordings)

    def progressing(work: Work, copied: int) -> None:
        note_moved(work, copied)
        on_copied(copied)

    return CopySegment(
        locate=key_in_r2,
        fence=ArchiveFence(recordings=recordings),
        files=ArchiveBucket(),
        reader=BucketReader(R2Bucket()),
        sums=DynamoPartChecksums(),
        progressing=progressing,
    )


def check_archive() -> "CheckSegment":
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.storage.source import BucketReader
    from recordings.services.transfer.move_to_archive import ArchiveFence, key_in_r2
    from recordings.services.transfer.transfer_file import CheckSegment

    return CheckSegment(
        locate=key_in_r2,
        fence=ArchiveFence(recordings=DynamoRecordings()),
        files=ArchiveBucket(),
        reader=BucketReader(R2Bucket()),
        sums=DynamoPartChecksums(),
    )


def complete_archive() -> "CompleteTransfer":
    settings.require(settings.TABLE, settings.ARCHIVE)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.services.transfer.move_to_archive import ArchiveFence
    from recordings.services.transfer.transfer_file import CompleteTransfer

    return CompleteTransfer(
        files=ArchiveBucket(), sums=DynamoPartChecksums(), fence=ArchiveFence(recordings=DynamoRecordings())
    )


def finish_archive(*, on_stored: OnStored) -> "FinishArchive":
    """`on_stored` receives the recording after it points to the copy."""
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import STORAGE_CLASS, ArchiveBucket
    from recordings.adapters.storage.bucket import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.move_to_archive import FinishArchive

    return FinishArchive(
        recordings=DynamoRecordings(),
        files=ArchiveBucket(),
        source=R2Bucket(),
        links=DynamoDownloadLinks(),
        clock=now,
        storage_class=STORAGE_CLASS,
        on_stored=on_stored,
    )


def abandon_archive(*, on_stored: OnStored) -> "AbandonArchive":
    """`on_stored` receives the recording after it is ready again."""
    settings.require(settings.TABLE, settings.ARCHIVE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.system import now
    from recordings.services.transfer.move_to_archive import AbandonArchive

    return AbandonArchive(recordings=DynamoRecordings(), clock=now, copies=ArchiveBucket(), on_stored=on_stored)
