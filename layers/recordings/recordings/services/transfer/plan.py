"""Plan the copy of a file: measure it, choose its parts, create its upload."""

from dataclasses import dataclass, field, replace
from typing import Final

from recordings.domain.errors import ProviderRecordingFailed, SourceExpired, SourceUnavailable
from recordings.domain.objects import ObjectHead
from recordings.domain.provider_recording import ProviderRecording
from recordings.domain.reconciliation import Deadlines
from recordings.domain.recording import Recording
from recordings.domain.storage_keys import archive_key, archive_prefix, attempt_key, recording_prefix
from recordings.domain.transfer import (
    MULTIPART_THRESHOLD_BYTES,
    Attempt,
    Segment,
    SourceFile,
    TransferPlan,
    part_size_for,
    segments_for,
)
from recordings.ports.provider import RecordingProvider
from recordings.ports.repositories import Recordings
from recordings.ports.storage import ArchiveStore, ObjectStore, ReadMediaFacts, SourceReader
from recordings.ports.system import Clock
from recordings.services.transfer.attempt_files import remove_attempt_files
from recordings.services.transfer.attempts import get_waiting, initial_progress
from recordings.services.transfer.provider_file import ProviderFileUrl, announcement_of, get_provider_recording

# The type of an object whose bytes were not read yet. Downloads and the archive use the type found in the bytes.
DEFAULT_CONTENT_TYPE: Final = "video/mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTransfer:
    """Plan the copy of a recording's file from Cloudflare to R2. A file that Cloudflare delivered is not copied."""

    recordings: Recordings
    provider: RecordingProvider
    store: ObjectStore
    source: SourceReader
    read_media_facts: ReadMediaFacts
    clock: Clock
    deadlines: Deadlines = field(default_factory=Deadlines)
    multipart_threshold_bytes: int = MULTIPART_THRESHOLD_BYTES

    def __call__(self, attempt: Attempt, *, ranges: bool = True) -> TransferPlan:
        """Return the plan. Without `ranges` the source is read as one stream: it refused a range it had announced.

        Raises:
            AttemptReplaced: another attempt has replaced this one
            SourceUnavailable, SourceNotAllowed: the file cannot be read now
            CaptureFailed, SourceExpired, TracksOnly: it is certain that there will be no file
        """
        recording = get_waiting(self.recordings, attempt)
        if recording.attempt > 1:
            remove_attempt_files(self.store, recording, until=recording.attempt - 1)
        provider_recording = get_provider_recording(self.provider, recording)
        plan = replace(
            self._plan(recording, provider_recording, ranges=ranges), announced=announcement_of(provider_recording)
        )
        self.recordings.note_progress(recording, initial_progress(plan, recording.attempt, self.clock()))
        return plan

    def _plan(
        self, recording: Recording, provider_recording: ProviderRecording | None, *, ranges: bool
    ) -> TransferPlan:
        key = recording.delivery_key
        delivered = self.store.head(key) if key is not None else None
        if key is None or delivered is None:
            return self._plan_copy(recording, self._url(recording, provider_recording), ranges=ranges)
        if self._is_whole(key, delivered, provider_recording):
            return self._plan_delivered(recording, key, delivered)
        try:
            url = self._url(recording, provider_recording)
        except (ProviderRecordingFailed, SourceExpired, SourceUnavailable):
            # The delivered file is all that there is, for now.
            return self._plan_delivered(recording, key, delivered)
        return self._plan_copy(recording, url, ranges=ranges)

    def _url(self, recording: Recording, provider_recording: ProviderRecording | None) -> str:
        find_url = ProviderFileUrl(
            recordings=self.recordings, provider=self.provider, clock=self.clock, deadlines=self.deadlines
        )
        return find_url.of(recording, provider_recording)

    def _is_whole(self, key: str, delivered: ObjectHead, provider_recording: ProviderRecording | None) -> bool:
        """Whether a delivered file is media of the announced size. If not, Cloudflare's own copy may be better."""
        announced = provider_recording.size_bytes if provider_recording is not None else None
        if announced is not None and announced > 0 and announced != delivered.size:
            return False
        facts = self.read_media_facts(
            lambda first, last: self.store.read(key, first, last, etag=delivered.etag), delivered.size
        )
        return facts.is_media and not facts.truncated

    def _plan_copy(self, recording: Recording, url: str, *, ranges: bool) -> TransferPlan:
        return plan_copy(
            self.source.measure(url),
            self.store,
            source="",
            key=attempt_key(recording),
            key_prefix=recording_prefix(recording),
            attempt=recording.attempt,
            content_type=DEFAULT_CONTENT_TYPE,
            multipart_threshold_bytes=self.multipart_threshold_bytes,
            ranges=ranges,
        )

    def _plan_delivered(self, recording: Recording, key: str, delivered: ObjectHead) -> TransferPlan:
        # An earlier plan may have begun to fetch the file.
        abort_uploads(self.store, recording_prefix(recording), until=recording.attempt)
        return plan_without_copy(delivered, source="", key=key, content_type=DEFAULT_CONTENT_TYPE, read=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArchive:
    """Plan the copy of a recording's file from R2 to the archive bucket."""

    recordings: Recordings
    source: SourceReader
    archive: ArchiveStore
    clock: Clock
    multipart_threshold_bytes: int = MULTIPART_THRESHOLD_BYTES

    def __call__(self, attempt: Attempt) -> TransferPlan | None:
        """Return the plan, or None if this attempt has nothing (more) to move.

        Raises:
            SourceUnavailable: the file is not in R2
        """
        recording = self.recordings.get_including_deleted(attempt.tenant_id, attempt.recording_id)
        if not recording.moving or recording.archive_attempt != attempt.attempt or recording.file is None:
            return None
        file = recording.file
        source = self.source.measure(file.key)
        key = archive_key(recording, attempt.attempt)
        copied = self.archive.head(key)
        if copied is not None and copied.size == source.size:
            # An earlier execution of this attempt completed the copy and ended before it was stored. Only checked parts
            # are completed.
            return plan_without_copy(
                copied, source=file.key, key=key, content_type=file.content_type, crc32=file.crc32, read=False
            )
        plan = plan_copy(
            source,
            self.archive,
            source=file.key,
            key=key,
            key_prefix=archive_prefix(recording),
            attempt=attempt.attempt,
            content_type=file.content_type,
            multipart_threshold_bytes=self.multipart_threshold_bytes,
            crc32=file.crc32,
        )
        self.recordings.note_progress(recording, initial_progress(plan, attempt.attempt, self.clock()))
        return plan


def plan_copy(
    file: SourceFile,
    store: ObjectStore,
    *,
    source: str,
    key: str,
    key_prefix: str,
    attempt: int,
    content_type: str,
    multipart_threshold_bytes: int,
    crc32: str | None = None,
    ranges: bool = True,
) -> TransferPlan:
    """Plan a copy to `key` and create its upload. The uploads of earlier plans are aborted (abort_uploads).

    Without `ranges` the source is read as one stream, even if it answers range requests.
    """
    abort_uploads(store, key_prefix, until=attempt)
    is_single = file.size < multipart_threshold_bytes
    # One request carries the whole file as one part, whatever parts the source was made of.
    part_size = part_size_for(file.size, None if is_single else file.etag)
    ranges = file.ranges and ranges
    return TransferPlan(
        source=source,
        key=key,
        size=file.size,
        etag=file.etag,
        modified=file.modified,
        ranges=ranges,
        content_type=content_type,
        crc32=crc32,
        part_size=part_size,
        upload_id="" if is_single else store.create_upload(key, content_type=content_type),
        segments=(Segment(1, 1),) if is_single else segments_for(file.size, part_size, ranges=ranges),
        present=False,
    )


def plan_without_copy(
    stored: ObjectHead, *, source: str, key: str, content_type: str, crc32: str | None = None, read: bool
) -> TransferPlan:
    """Plan nothing but the verification of a file that is at `key` already.

    With `read` its segments are read for their checksums, unless the file is so small that the verification reads it.
    """
    part_size = part_size_for(stored.size)
    is_read = read and stored.size >= MULTIPART_THRESHOLD_BYTES
    return TransferPlan(
        source=source,
        key=key,
        size=stored.size,
        etag=stored.etag,
        modified=None,
        ranges=True,
        content_type=content_type,
        crc32=crc32,
        part_size=part_size,
        upload_id="",
        segments=segments_for(stored.size, part_size, ranges=True) if is_read else (),
        present=True,
    )


def abort_uploads(store: ObjectStore, key_prefix: str, *, until: int) -> None:
    """Abort the unfinished uploads of the attempts up to `until`, and of no later attempt.

    In a key the number of the attempt follows `key_prefix` (domain/storage_keys.py).
    """
    for upload in [*store.list_uploads(key_prefix)]:
        attempt = upload.key.removeprefix(key_prefix).partition("/")[0]
        if attempt.isdecimal() and int(attempt) <= until:
            store.abort_upload(upload.key, upload.upload_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortTransfer:
    """Abort the upload of a plan, so that nobody pays for its parts."""

    store: ObjectStore

    def __call__(self, plan: TransferPlan | None) -> None:
        """Do nothing without a plan, or for one without an upload. Safe to repeat."""
        if plan is not None and plan.upload_id:
            self.store.abort_upload(plan.key, plan.upload_id)
