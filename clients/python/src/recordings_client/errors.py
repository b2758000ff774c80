"""What can go wrong, one class per cause; catch a base to catch all below it.

* RecordingsError
  - Refused                        the API understood and said no (4xx)
    + InvalidRequest               carries the fields in `errors`
    + Unauthorized                 no token, or one that is not valid
    + Forbidden
      * ScopeMissing, TenantMissing, TenantInvalid
    + NotFound
      * RoomNotFound, RecordingNotFound, NoActiveRecording
    + NotPossible
      * RecordingNotArchivable, RecordingNotArchived, RecordingNotRecoverable
    + Conflict
      * RoomAlreadyRecording       carries what is in the way in `recording`
      * RoomRecording, MeetingInUse, RecordingInProgress, RecordingFailed, TransitionNotAllowed
      * ConcurrentUpdate           somebody else was faster: call again, with a new key
      * RequestInProgress          the first request with this key still runs
    + IdempotencyKeyReused, BodyTooLarge
  - ServerFailure                  the API could not (5xx); the same call can be made again
    + InternalError
    + ProviderError, ProviderTimeout
    + Throttled, ProviderThrottled, and its child TenantThrottled
  - NotReady                       there is no file to download yet (or not without a restore)
    + NotReadyInTime               waited as long as asked for
  - DownloadFailed
  - NoAnswer                       nothing came back, or not in time
  - UnexpectedAnswer               what came back is not what the contract promises
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from recordings_client.effects import Answer
from recordings_client.models import ActiveRecording, FieldError, MalformedDocument, Status, rows

NOTHING: Final[Mapping[str, Any]] = {}


class RecordingsError(Exception):
    """Base of every failure. `status` and `request_id` are None when no answer came; `retry_after` is in seconds."""

    code: str = "recordings_error"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        document: Mapping[str, Any] = NOTHING,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.document = document

    def __str__(self) -> str:
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.detail} [{self.code}{request}]"


class Refused(RecordingsError):
    code = "refused"


class InvalidRequest(Refused):
    code = "invalid_request"

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """The fields that were not accepted; empty when the answer names none."""
        try:
            return rows(self.document.get("errors"), FieldError.of)
        except MalformedDocument:
            return ()


class Unauthorized(Refused):
    code = "unauthorized"


class Forbidden(Refused):
    code = "forbidden"


class ScopeMissing(Forbidden):
    code = "scope_missing"


class TenantMissing(Forbidden):
    code = "tenant_missing"


class TenantInvalid(Forbidden):
    code = "tenant_invalid"


class NotFound(Refused):
    code = "not_found"


class RoomNotFound(NotFound):
    code = "room_not_found"


class RecordingNotFound(NotFound):
    code = "recording_not_found"


class NoActiveRecording(NotFound):
    code = "no_active_recording"


class NotPossible(Refused):
    code = "not_possible"


class RecordingNotArchivable(NotPossible):
    code = "recording_not_archivable"


class RecordingNotArchived(NotPossible):
    code = "recording_not_archived"


class RecordingNotRecoverable(NotPossible):
    code = "recording_not_recoverable"


class Conflict(Refused):
    code = "conflict"


class RoomAlreadyRecording(Conflict):
    code = "room_already_recording"

    @property
    def recording(self) -> ActiveRecording | None:
        """The recording that is in the way; None when the API does not know it."""
        return _blocker(self)


class RoomRecording(Conflict):
    code = "room_recording"

    @property
    def recording(self) -> ActiveRecording | None:
        """The recording for which the room keeps its meeting; None when the API does not know it."""
        return _blocker(self)


def _blocker(error: Conflict) -> ActiveRecording | None:
    try:
        return ActiveRecording.of(error.document.get("recording"))
    except MalformedDocument:
        return None


class MeetingInUse(Conflict):
    code = "meeting_in_use"


class RecordingInProgress(Conflict):
    code = "recording_in_progress"


class RecordingFailed(Conflict):
    code = "recording_failed"


class TransitionNotAllowed(Conflict):
    code = "transition_not_allowed"


class ConcurrentUpdate(Conflict):
    code = "concurrent_update"


class RequestInProgress(Conflict):
    code = "request_in_progress"


class IdempotencyKeyReused(Refused):
    code = "idempotency_key_reused"


class BodyTooLarge(Refused):
    code = "body_too_large"


class ServerFailure(RecordingsError):
    code = "server_failure"


class InternalError(ServerFailure):
    code = "internal_error"


class ProviderError(ServerFailure):
    code = "provider_error"


class ProviderTimeout(ServerFailure):
    code = "provider_timeout"


class Throttled(ServerFailure):
    code = "throttled"


class ProviderThrottled(ServerFailure):
    code = "provider_throttled"


class TenantThrottled(ProviderThrottled):
    code = "tenant_throttled"


class NotReady(RecordingsError):
    code = "not_ready"

    @property
    def recording_status(self) -> Status:
        """processing (also while it is being recorded), or archived: then it needs a restore."""
        return Status(_text(self.document.get("status")) or Status.PROCESSING)


class NotReadyInTime(NotReady, TimeoutError):
    code = "not_ready_in_time"


class DownloadFailed(RecordingsError):
    code = "download_failed"


class NoAnswer(RecordingsError):
    code = "no_answer"


class UnexpectedAnswer(RecordingsError):
    code = "unexpected_answer"


# What the API names. The rest of this file is found by status, or raised by this package itself.
BY_CODE: Final[Mapping[str, type[RecordingsError]]] = {
    kind.code: kind
    for kind in (
        InvalidRequest,
        ScopeMissing,
        TenantMissing,
        TenantInvalid,
        NotFound,
        RoomNotFound,
        RecordingNotFound,
        NoActiveRecording,
        NotPossible,
        RecordingNotArchivable,
        RecordingNotArchived,
        RecordingNotRecoverable,
        Conflict,
        RoomAlreadyRecording,
        RoomRecording,
        MeetingInUse,
        RecordingInProgress,
        RecordingFailed,
        TransitionNotAllowed,
        ConcurrentUpdate,
        RequestInProgress,
        IdempotencyKeyReused,
        BodyTooLarge,
        InternalError,
        ProviderError,
        ProviderTimeout,
        Throttled,
        ProviderThrottled,
        TenantThrottled,
    )
}

# The gateway before the API answers without a code, and a newer API may have codes unknown here.
BY_STATUS: Final[Mapping[int, type[RecordingsError]]] = {
    400: Refused,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: BodyTooLarge,
    429: Throttled,
}


def error_of(answer: Answer) -> RecordingsError:
    """The error that an answer stands for, whatever its body is."""
    document = _document(answer)
    named = document.get("code")
    code = named if isinstance(named, str) and named else None
    kind = BY_CODE.get(code or "") or BY_STATUS.get(answer.status) or _by_class(answer.status)
    return kind(
        _detail(document, answer.status),
        code=code,
        status=answer.status,
        request_id=answer.request_id or _text(document.get("request_id")),
        retry_after=answer.retry_after,
        document=document,
    )


def _by_class(status: int) -> type[RecordingsError]:
    if status >= 500:
        return ServerFailure
    return Refused if status >= 400 else UnexpectedAnswer


def _document(answer: Answer) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return NOTHING
    return found if isinstance(found, dict) else NOTHING


def _detail(document: Mapping[str, Any], status: int) -> str:
    # `message` is how the gateway says it. A page of HTML is of no use to anybody.
    for name in ("detail", "message"):
        if found := _text(document.get(name)):
            return found
    try:
        return f"The API answered {status} ({HTTPStatus(status).phrase})."
    except ValueError:
        return f"The API answered {status}."


def _text(given: object) -> str | None:
    return given if isinstance(given, str) and given else None
