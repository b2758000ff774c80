"""The errors of the domain.

* RecordingsError
  - NotFound
    + RoomNotFound
    + RecordingNotFound
    + NoActiveRecording
    + NotOurs                  the recording belongs to another tenant
  - Conflict
    + RoomAlreadyRecording     has the recording that locks the room, if it is known
    + RoomIsRecording          has the recording that locks the room, if it is known
    + MeetingInUse
    + MeetingReleased          it runs in a meeting that no room holds; the sync imports it after its end
    + RecordingFailed
    + RecordingInProgress      it is being recorded; stop it first
    + ConcurrentUpdate         another call was faster; read again
    + RequestInProgress
  - TransitionNotAllowed
  - NotPossible                the request does not fit the state of the recording
    + RecordingNotArchivable
    + RecordingNotArchived
    + RecordingNotRecoverable
  - IdempotencyKeyReused
  - Invalid                    names the field
    + InvalidCursor
    + MeetingUnknown
    + TierNotOffered
  - ScopeMissing
  - Throttled                  a service is busy or does not respond; has the seconds to wait
    + RetrievalRefused         the retrieval tier has no capacity; nothing was requested
  - InfrastructureError        a permission, the configuration or a bug; a repeat does not help
    + InvalidTaskInput         a function received a message that it does not accept
  - ProviderFailure
    + ProviderError
      * ProviderNotFound       Cloudflare does not have it
      * ProviderRefused        Cloudflare refused the request (4xx)
    + ProviderTimeout
    + ProviderThrottled        has the seconds to wait
      * TenantThrottled        the tenant's share of the rate limit is used up

Errors of workflows only. `Retry` and `Catch` name their classes:

* TransferError
  - SourceChanged, SourceExpired, SourceUnavailable (SourceDenied, RangesRefused), ChecksumMismatch
  - SourceNotAllowed           the URL leads to a forbidden host or address
  - AttemptReplaced            a newer attempt works on the recording
* ProviderRecordingFailed      Cloudflare lost the recording for good
  - TracksOnly                 Cloudflare has separate tracks and no file of the meeting
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from recordings.domain.recording import Recording


class RecordingsError(Exception):
    """Base of every error that a caller may receive. `code` is part of the public API."""

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
    """A value of the caller is invalid. `field` names it."""

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
    """S3 refused the restore request. Unlike after a time-out, no restore is in progress."""


class InfrastructureError(RecordingsError):
    """AWS or R2 refuses each repeat as well: a permission is missing, a bucket does not exist, or we have a bug.

    Its text is for the log. Callers get 500 `internal_error`. Workflows do not retry.
    """

    code = "internal_error"


class InvalidTaskInput(InfrastructureError):
    """The event does not fit the function's input model. The text names the fields and shows no values."""


class ProviderFailure(RecordingsError):
    """Cloudflare did not do what it was asked for. The caller can repeat the call."""

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
    """A transfer failed. Only workflows receive it."""


class SourceChanged(TransferError):
    """The source has another file than the one that was planned."""


class SourceExpired(TransferError):
    """The source has deleted the file."""


class SourceUnavailable(TransferError):
    """The source failed. A retry may succeed."""


class SourceDenied(SourceUnavailable):
    """The source denies access. The URL has expired, and a new one may work."""


class SourceNotAllowed(TransferError):
    """The URL, or a redirect, leads to a host or address that is not allowed. A retry does not help."""


class RangesRefused(SourceUnavailable):
    """The source announced ranges and does not return them. A plan without ranges can read it."""


class ChecksumMismatch(TransferError):
    """The bucket received other bytes than were read."""


class AttemptReplaced(TransferError):
    """A newer attempt works on the recording, or none is needed. This one must change nothing."""


class ProviderRecordingFailed(Exception):
    """Cloudflare lost the recording. There is no file of it."""


class TracksOnly(ProviderRecordingFailed):
    """Cloudflare recorded separate tracks. There is no file of the meeting."""


# A task is retried after these. `Retry` in statemachines/ lists exactly these names, because Step Functions compares
# the name of a class and not its base classes.
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
