"""The errors, one class per cause. Catch a base class to catch all below it.

* RecordingsError
  - Refused                        the API refuses the request (4xx)
    + InvalidRequest               carries the fields in `errors`
    + Unauthorized                 the token is missing or not valid
    + Forbidden
      * ScopeMissing, TenantMissing, TenantInvalid, ActorMissing
    + NotFound
      * RoomNotFound, RecordingNotFound, NoActiveRecording
    + NotPossible
      * RecordingNotArchivable, RecordingNotArchived, RecordingNotRecoverable
    + Conflict
      * RoomAlreadyRecording       has the other recording in `recording`
      * RoomRecording, MeetingInUse, RecordingInProgress, RecordingFailed, TransitionNotAllowed
      * ConcurrentUpdate           another request changed it first: call again, with a new key
      * RequestInProgress          the first request with this key is not finished
    + IdempotencyKeyReused, BodyTooLarge
  - ServerFailure                  the API failed (5xx); the same call can be repeated
    + InternalError
    + ProviderError, ProviderTimeout
    + Throttled, ProviderThrottled, and its child TenantThrottled
  - NotReady                       the file is not stored yet, or is archived
    + NotReadyInTime               the file is not ready after the timeout
  - DownloadFailed
  - NoAnswer                       no response, or not in time
  - UnexpectedAnswer               the response is not what the API describes
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from recordings_client.effects import Answer
from recordings_client.models import ActiveRecording, FieldError, MalformedDocument, Status, rows

NOTHING: Final[Mapping[str, Any]] = {}


class RecordingsError(Exception):
    """Base of every error. `status` and `request_id` are None without a response; `retry_after` is in seconds.

    `document` is the problem document of the response, or empty.
    """

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
        """The fields that are not valid; empty if the response names none."""
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


class ActorMissing(Forbidden):
    code = "actor_missing"


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
        """The room's other recording; None while another call is starting it."""
        return _active_recording(self)


class RoomRecording(Conflict):
    code = "room_recording"

    @property
    def recording(self) -> ActiveRecording | None:
        """The recording that needs the room's meeting; None while another call is starting it."""
        return _active_recording(self)


def _active_recording(error: Conflict) -> ActiveRecording | None:
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
        """`processing` (also while the room is being recorded), or `archived`, which needs a restore."""
        return Status(_text(self.document.get("status")) or Status.PROCESSING)


class NotReadyInTime(NotReady, TimeoutError):
    code = "not_ready_in_time"


class DownloadFailed(RecordingsError):
    code = "download_failed"


class NoAnswer(RecordingsError):
    code = "no_answer"


class UnexpectedAnswer(RecordingsError):
    code = "unexpected_answer"


# The codes of the API. The other errors are chosen by status, or raised by this package.
BY_CODE: Final[Mapping[str, type[RecordingsError]]] = {
    kind.code: kind
    for kind in (
        InvalidRequest,
        ScopeMissing,
        TenantMissing,
        TenantInvalid,
        ActorMissing,
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

# The gateway in front of the API responds without a code, and a newer API may have new codes.
BY_STATUS: Final[Mapping[int, type[RecordingsError]]] = {
    400: Refused,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: BodyTooLarge,
    429: Throttled,
}


def error_of(response: Answer) -> RecordingsError:
    """Return the error for an unsuccessful response with any body."""
    document = _document(response)
    named = document.get("code")
    code = named if isinstance(named, str) and named else None
    kind = BY_CODE.get(code or "") or BY_STATUS.get(response.status) or _by_class(response.status)
    return kind(
        _detail(document, response.status),
        code=code,
        status=response.status,
        request_id=response.request_id or _text(document.get("request_id")),
        retry_after=response.retry_after,
        document=document,
    )


def _by_class(status: int) -> type[RecordingsError]:
    if status >= 500:
        return ServerFailure
    return Refused if status >= 400 else UnexpectedAnswer


def _document(response: Answer) -> Mapping[str, Any]:
    try:
        found = json.loads(response.body)
    except (ValueError, RecursionError):
        return NOTHING
    return found if isinstance(found, dict) else NOTHING


def _detail(document: Mapping[str, Any], status: int) -> str:
    # `message` is the gateway's field. A page of HTML would not help.
    for name in ("detail", "message"):
        if found := _text(document.get(name)):
            return found
    try:
        return f"The API answered {status} ({HTTPStatus(status).phrase})."
    except ValueError:
        return f"The API answered {status}."


def _text(given: object) -> str | None:
    return given if isinstance(given, str) and given else None
