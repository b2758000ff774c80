"""Builds the services of the functions in functions/workflow/.

Each builder imports its adapters, so that a function loads only what it uses.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from recordings import settings
from recordings.wiring.shared import CALL_CLOUDFLARE, USE_FILES, attempt_limits, deadlines, provider

if TYPE_CHECKING:
    from recordings.domain.recording import Recording
    from recordings.services.transfer.archive import AbandonArchive, BeginArchive, FinishArchive
    from recordings.services.transfer.check import CheckArchive, CheckSegment
    from recordings.services.transfer.check_upload import CheckUpload
    from recordings.services.transfer.complete import CompleteArchive, CompleteTransfer
    from recordings.services.transfer.copy import CopySegment, CopyToArchive
    from recordings.services.transfer.mark import MarkFailed, MarkReady, MarkStalled
    from recordings.services.transfer.plan import AbortTransfer, PlanArchive, PlanTransfer
    from recordings.services.transfer.verify import VerifyTransfer
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
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.check_upload import CheckUpload

    return CheckUpload(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        store=R2Bucket(),
        clock=now,
        stall_after=settings.UPLOAD().stall_after,
        deadlines=deadlines(),
    )


def plan_transfer() -> "PlanTransfer":
    settings.require(*FETCH)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.media import read_media_facts
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.storage.source import UrlReader
    from recordings.adapters.system import now
    from recordings.services.transfer.plan import PlanTransfer

    return PlanTransfer(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        store=R2Bucket(),
        source=UrlReader(),
        read_media_facts=read_media_facts,
        clock=now,
        deadlines=deadlines(),
    )


def copy_segment(*, on_copied: OnCopied) -> "CopySegment":
    """Build the copy from Cloudflare to R2. `on_copied` receives the number of bytes, now and then."""
    settings.require(*FETCH)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.storage.source import UrlReader
    from recordings.adapters.system import now
    from recordings.services.transfer.copy import CopySegment

    return CopySegment(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        store=R2Bucket(),
        source=UrlReader(),
        part_checksums=DynamoPartChecksums(),
        clock=now,
        deadlines=deadlines(),
        on_copied=on_copied,
    )


def check_segment() -> "CheckSegment":
    settings.require(*FETCH)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.storage.source import UrlReader
    from recordings.adapters.system import now
    from recordings.services.transfer.check import CheckSegment

    return CheckSegment(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        store=R2Bucket(),
        source=UrlReader(),
        part_checksums=DynamoPartChecksums(),
        clock=now,
        deadlines=deadlines(),
    )


def complete_transfer() -> "CompleteTransfer":
    settings.require(settings.TABLE, *USE_FILES)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.services.transfer.complete import CompleteTransfer

    return CompleteTransfer(recordings=DynamoRecordings(), store=R2Bucket(), part_checksums=DynamoPartChecksums())


def verify_transfer() -> "VerifyTransfer":
    settings.require(*USE_FILES)
    from recordings.adapters.storage.media import read_media_facts
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.services.transfer.verify import VerifyTransfer

    return VerifyTransfer(store=R2Bucket(), read_media_facts=read_media_facts)


def mark_ready(*, on_stored: OnStored) -> "MarkReady":
    """`on_stored` receives the recording after each decision that is stored: ready, failed or another attempt."""
    settings.require(*CALL_CLOUDFLARE, *USE_FILES, settings.ATTEMPTS)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.mark import MarkReady

    return MarkReady(
        recordings=DynamoRecordings(),
        provider=provider("workflow"),
        store=R2Bucket(),
        clock=now,
        limits=attempt_limits(),
        on_stored=on_stored,
    )


def mark_failed(*, on_stored: OnStored) -> "MarkFailed":
    """`on_stored` receives the recording after it has become failed, or ready with a file that was held."""
    settings.require(settings.TABLE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.system import now
    from recordings.services.transfer.mark import MarkFailed

    return MarkFailed(recordings=DynamoRecordings(), clock=now, on_stored=on_stored)


def mark_stalled(*, on_stored: OnStored) -> "MarkStalled":
    """`on_stored` receives the recording when it is flagged as stalled."""
    settings.require(settings.TABLE, *USE_FILES, settings.ATTEMPTS)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.mark import MarkStalled

    return MarkStalled(
        recordings=DynamoRecordings(), store=R2Bucket(), clock=now, limits=attempt_limits(), on_stored=on_stored
    )


def abort_transfer() -> "AbortTransfer":
    settings.require(*USE_FILES)
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.services.transfer.plan import AbortTransfer

    return AbortTransfer(store=R2Bucket())


# ----------------------------------------------------------------------------------------------------------- archiving


def begin_archive() -> "BeginArchive":
    settings.require(settings.TABLE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.services.transfer.archive import BeginArchive

    return BeginArchive(recordings=DynamoRecordings())


def plan_archive() -> "PlanArchive":
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.storage.source import BucketReader
    from recordings.adapters.system import now
    from recordings.services.transfer.plan import PlanArchive

    return PlanArchive(
        recordings=DynamoRecordings(), source=BucketReader(R2Bucket()), archive=ArchiveBucket(), clock=now
    )


def copy_to_archive(*, on_copied: OnCopied) -> "CopyToArchive":
    """Build the copy from R2 to the archive bucket. `on_copied` receives the number of bytes, now and then."""
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.storage.source import BucketReader
    from recordings.services.transfer.copy import CopyToArchive

    return CopyToArchive(
        recordings=DynamoRecordings(),
        archive=ArchiveBucket(),
        source=BucketReader(R2Bucket()),
        part_checksums=DynamoPartChecksums(),
        on_copied=on_copied,
    )


def check_archive() -> "CheckArchive":
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.storage.source import BucketReader
    from recordings.services.transfer.check import CheckArchive

    return CheckArchive(
        recordings=DynamoRecordings(),
        archive=ArchiveBucket(),
        source=BucketReader(R2Bucket()),
        part_checksums=DynamoPartChecksums(),
    )


def complete_archive() -> "CompleteArchive":
    settings.require(settings.TABLE, settings.ARCHIVE)
    from recordings.adapters.dynamodb.part_checksums import DynamoPartChecksums
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.services.transfer.complete import CompleteArchive

    return CompleteArchive(recordings=DynamoRecordings(), archive=ArchiveBucket(), part_checksums=DynamoPartChecksums())


def finish_archive(*, on_stored: OnStored) -> "FinishArchive":
    """`on_stored` receives the recording after it points to the copy."""
    settings.require(*MOVE)
    from recordings.adapters.dynamodb.download_links import DynamoDownloadLinks
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import now
    from recordings.services.transfer.archive import FinishArchive

    return FinishArchive(
        recordings=DynamoRecordings(),
        store=R2Bucket(),
        archive=ArchiveBucket(),
        links=DynamoDownloadLinks(),
        clock=now,
        on_stored=on_stored,
    )


def abandon_archive(*, on_stored: OnStored) -> "AbandonArchive":
    """`on_stored` receives the recording after it is ready again."""
    settings.require(settings.TABLE, settings.ARCHIVE)
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.archive import ArchiveBucket
    from recordings.adapters.system import now
    from recordings.services.transfer.archive import AbandonArchive

    return AbandonArchive(recordings=DynamoRecordings(), clock=now, archive=ArchiveBucket(), on_stored=on_stored)
