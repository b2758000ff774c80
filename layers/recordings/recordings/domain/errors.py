"""What can go wrong, in the language of recordings.

* RecordingsError
  - NotFound
    + RoomNotFound
    + RecordingNotFound
    + NoActiveRecording
    + NotOurs                  what Cloudflare records there is not this tenant's
  - Conflict
    + RoomAlreadyRecording     carries the recording that blocks, when it is known
    + RoomIsRecording          carries the recording that blocks, when it is known
    + MeetingInUse
    + MeetingReleased          it still runs in a meeting that no room holds: a sync imports it when it has ended
    + RecordingFailed
    + RecordingInProgress      it is being recorded: stop it first
    + ConcurrentUpdate         somebody else was faster: load again
    + RequestInProgress
  - TransitionNotAllowed
  - NotPossible                what was asked makes no sense for this recording as it is
    + RecordingNotArchivable
    + RecordingNotArchived
    + RecordingNotRecoverable
  - IdempotencyKeyReused
  - Invalid                    names the field
    + InvalidCursor
    + MeetingUnknown
    + TierNotOffered
  - ScopeMissing               the caller may not do this
  - Throttled                  what this service stands on is busy or does not answer; carries the seconds to wait
    + RetrievalRefused         cold storage has no room for this tier now: nothing was asked for
  - InfrastructureError        permission, configuration or bug: trying again is of no use, a person must act
    + InvalidTaskInput         a state machine, or a person, sent a function what it does not accept
  - ProviderFailure
    + ProviderError
      * ProviderNotFound       Cloudflare does not know it
      * ProviderRefused        Cloudflare understood and said no (4xx)
    + ProviderTimeout
    + ProviderThrottled        carries the seconds to wait
      * TenantThrottled        the limit is this tenant's share, not Cloudflare's

Errors that only a workflow hears of (their class name is what `Retry` and `Catch` match on):

* TransferError
  - SourceChanged, SourceExpired, SourceUnavailable (SourceDenied, RangesRefused), ChecksumMismatch
  - SourceNotAllowed           the URL leads where nothing may be fetched from: the same URL never helps
  - AttemptReplaced            a newer attempt has taken over: this one must change nothing
* CaptureFailed                Cloudflare lost the recording for good
  - TracksOnly                 Cloudflare has separate tracks, and no file of the whole
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from recordings.domain.recording import Recording


class RecordingsError(Exception):
    """Base of every failure a caller may be told about; `code` is part of the public API."""

    code = "recordings_error"


class NotFound(RecordingsError):
    code = "not_found"


class RoomNotFound(NotFound):
    code = "room_not_found"


class RecordingNotFound(NotFound):
    code = "recording_not_found"


class NoActiveRecording(NotFound):
    code = "no_active_recording"


class NotOurs(NotFound):
    pass


class Conflict(RecordingsError):
    code = "conflict"


class RoomAlreadyRecording(Conflict):
    code = "room_already_recording"

    def __init__(self, message: str = "", *, blocker: Recording | None = None) -> None:
        super().__init__(message)
        self.blocker = blocker


class RoomIsRecording(Conflict):
    code = "room_recording"

    def __init__(self, message: str = "", *, blocker: Recording | None = None) -> None:
        super().__init__(message)
        self.blocker = blocker


class MeetingInUse(Conflict):
    code = "meeting_in_use"


class MeetingReleased(Conflict):
    pass


class RecordingFailed(Conflict):
    code = "recording_failed"


class RecordingInProgress(Conflict):
    code = "recording_in_progress"


class ConcurrentUpdate(Conflict):
    code = "concurrent_update"


class RequestInProgress(Conflict):
    code = "request_in_progress"


class TransitionNotAllowed(RecordingsError):
    code = "transition_not_allowed"


class NotPossible(RecordingsError):
    code = "not_possible"


class RecordingNotArchivable(NotPossible):
    code = "recording_not_archivable"


class RecordingNotArchived(NotPossible):
    code = "recording_not_archived"


class RecordingNotRecoverable(NotPossible):
    code = "recording_not_recoverable"


class IdempotencyKeyReused(RecordingsError):
    code = "idempotency_key_reused"


class Invalid(RecordingsError):
    """Something that the caller gave cannot be: `field` names it."""

    code = "invalid_request"
    field = "body"


class InvalidCursor(Invalid):
    field = "cursor"


class MeetingUnknown(Invalid):
    field = "cloudflare_meeting_id"


class TierNotOffered(Invalid):
    field = "tier"


class ScopeMissing(RecordingsError):
    code = "scope_missing"


class Throttled(RecordingsError):
    code = "throttled"

    def __init__(self, message: str = "", *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RetrievalRefused(Throttled):
    """Cold storage took no order, and says so: unlike after a time-out, nothing is on its way."""


class InfrastructureError(RecordingsError):
    """AWS or R2 will not do this however often it is asked: no permission, no such bucket, or a bug of ours.

    Its text is for the log. Callers get 500 `internal_error`; workflows do not try again.
    """

    code = "internal_error"


class InvalidTaskInput(InfrastructureError):
    """The event does not fit the function's input model. The text names the fields and shows no values."""


class ProviderFailure(RecordingsError):
    """Cloudflare did not do what it was asked; the same call can be made again."""

    code = "provider_failure"


class ProviderError(ProviderFailure):
    code = "provider_error"


class ProviderNotFound(ProviderError):
    pass


class ProviderRefused(ProviderError):
    pass


class ProviderTimeout(ProviderFailure):
    code = "provider_timeout"


class ProviderThrottled(ProviderFailure):
    code = "provider_throttled"

    def __init__(self, message: str = "", *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TenantThrottled(ProviderThrottled):
    code = "tenant_throttled"


class TransferError(Exception):
    """A copy that did not succeed; only workflows hear of it."""


class SourceChanged(TransferError):
    """The file at the source is not the one the transfer was planned for."""


class SourceExpired(TransferError):
    """The file at the source is gone for good."""


class SourceUnavailable(TransferError):
    """The source did not answer as it should; trying again is worth it."""


class SourceDenied(SourceUnavailable):
    """The source says that we may not read: the URL has run out, and a fresh one may do."""


class SourceNotAllowed(TransferError):
    """The URL of the file, or a redirect, leads to a host or an address that nothing may be fetched from."""


class RangesRefused(SourceUnavailable):
    """The source announced ranges and does not answer with them: a plan without ranges can read it."""


class ChecksumMismatch(TransferError):
    """What arrived is not what was read."""


class AttemptReplaced(TransferError):
    """A newer attempt works on the recording, or none is needed any more: this one must change nothing."""


class ProviderRecordingFailed(Exception):
    """Cloudflare lost the recording, and no bytes of it can be had."""


class TracksOnly(ProviderRecordingFailed):
    """Cloudflare recorded tracks of their own, and there is no file of the whole meeting."""


# After these a task of a workflow is tried again as it is. `Retry` in statemachines/ lists exactly these by name: Step
# Functions does not know that one class is another's child.
RETRIED: Final[frozenset[type[Exception]]] = frozenset(
    {
        ConcurrentUpdate,
        ProviderError,
        ProviderThrottled,
        ProviderTimeout,
        SourceDenied,
        SourceUnavailable,
        TenantThrottled,
        Throttled,
    }
)
