"""Errors as HTTP: problem documents (RFC 9457), and the one table that maps domain errors to statuses.

A document's sentences are ours and short, and never contain text from upstream. ProblemError ensures that they are
short, whoever raises it.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from recordings.domain import errors
from recordings.http.responses.base import MAX_DETAIL_CHARACTERS, MAX_FIELD_CHARACTERS

if TYPE_CHECKING:
    from recordings.domain.recording import Recording
    from recordings.http.responses.problems import Problem

# A body can have thousands of unknown keys.
MAX_REPORTED_ERRORS: Final = 20


class FieldError(NamedTuple):
    """An invalid field of the request. `field` is a parameter, a body field, a header, or `body`."""

    field: str
    message: str


# ---------------------------------------------------------------- domain errors


class Row(NamedTuple):
    """The status of an error, and its sentence if it was raised without one."""

    status: HTTPStatus
    detail: str


# Every error of the domain that a caller may receive. A test fails if one has no row.
PROBLEMS: Final[Mapping[type[errors.RecordingsError], Row]] = {
    errors.RecordingsError: Row(HTTPStatus.INTERNAL_SERVER_ERROR, "The request could not be carried out."),
    errors.NotFound: Row(HTTPStatus.NOT_FOUND, "There is nothing at this address."),
    errors.RoomNotFound: Row(HTTPStatus.NOT_FOUND, "There is no such room; create it with PUT /api/v1/rooms/{id}."),
    errors.RecordingNotFound: Row(
        HTTPStatus.NOT_FOUND, "There is no such recording. List the existing ones with GET /api/v1/recordings."
    ),
    errors.NoActiveRecording: Row(HTTPStatus.NOT_FOUND, "The room is not being recorded; start a recording first."),
    errors.NotOurs: Row(HTTPStatus.NOT_FOUND, "There is nothing at this address."),
    errors.Conflict: Row(HTTPStatus.CONFLICT, "The current state does not allow this. Read it again."),
    errors.RoomAlreadyRecording: Row(
        HTTPStatus.CONFLICT, "The room is already being recorded; stop that recording first."
    ),
    errors.RoomIsRecording: Row(
        HTTPStatus.CONFLICT, "The room is being recorded. Stop that recording first, then make the call again."
    ),
    errors.MeetingInUse: Row(
        HTTPStatus.CONFLICT, "This meeting belongs to another room; give another meeting, or none to have one made."
    ),
    errors.MeetingReleased: Row(
        HTTPStatus.CONFLICT, "The meeting belongs to no room now. Sync again when its recording has ended."
    ),
    errors.RecordingFailed: Row(HTTPStatus.CONFLICT, "The recording failed and has no file; its failure says why."),
    errors.RecordingInProgress: Row(HTTPStatus.CONFLICT, "The recording is in progress; stop it before deleting it."),
    errors.ConcurrentUpdate: Row(
        HTTPStatus.CONFLICT, "Another request changed this at the same time. Make the call again."
    ),
    errors.RequestInProgress: Row(
        HTTPStatus.CONFLICT, "The first request with this Idempotency-Key is still running. Try again in a moment."
    ),
    errors.TransitionNotAllowed: Row(
        HTTPStatus.CONFLICT, "The recording's status does not allow this; read the recording again."
    ),
    errors.NotPossible: Row(
        HTTPStatus.BAD_REQUEST, "The recording does not allow this in its current state. Read it again."
    ),
    errors.RecordingNotArchivable: Row(
        HTTPStatus.BAD_REQUEST, "Only a ready recording in R2 can be archived; read the recording again."
    ),
    errors.RecordingNotArchived: Row(
        HTTPStatus.BAD_REQUEST, "Only a recording in cold storage can be restored; read the recording again."
    ),
    errors.RecordingNotRecoverable: Row(
        HTTPStatus.BAD_REQUEST, "Only a recording in processing can be recovered; read the recording again."
    ),
    errors.IdempotencyKeyReused: Row(
        HTTPStatus.UNPROCESSABLE_ENTITY, "This Idempotency-Key was used for another request; use a new one."
    ),
    errors.Invalid: Row(HTTPStatus.BAD_REQUEST, "The request is not valid; its errors say why."),
    errors.InvalidCursor: Row(
        HTTPStatus.BAD_REQUEST, "This API did not issue the cursor. Omit it to begin with the first page."
    ),
    errors.MeetingUnknown: Row(
        HTTPStatus.BAD_REQUEST, "Cloudflare has no such meeting. Name an existing one, or none to get a new one."
    ),
    errors.TierNotOffered: Row(
        HTTPStatus.BAD_REQUEST, "The storage class of the file does not offer this tier. Choose another tier."
    ),
    errors.ScopeMissing: Row(
        HTTPStatus.FORBIDDEN,
        "The access token lacks the scope recordings:adopt, which naming an existing meeting needs.",
    ),
    errors.Throttled: Row(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "There are too many requests. Retry after the number of seconds in Retry-After.",
    ),
    errors.RetrievalRefused: Row(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Cold storage has no capacity for this tier. Choose another tier, or retry after the time in Retry-After.",
    ),
    errors.InfrastructureError: Row(
        HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side; the request id leads to the cause."
    ),
    errors.InvalidTaskInput: Row(
        HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side; the request id leads to the cause."
    ),
    errors.ProviderFailure: Row(HTTPStatus.BAD_GATEWAY, "Cloudflare could not do this; make the call again."),
    errors.ProviderError: Row(HTTPStatus.BAD_GATEWAY, "Cloudflare could not do this; make the call again."),
    errors.ProviderNotFound: Row(HTTPStatus.BAD_GATEWAY, "Cloudflare could not do this; make the call again."),
    errors.ProviderRefused: Row(HTTPStatus.BAD_GATEWAY, "Cloudflare could not do this; make the call again."),
    errors.ProviderTimeout: Row(HTTPStatus.GATEWAY_TIMEOUT, "Cloudflare did not answer in time; make the call again."),
    errors.ProviderThrottled: Row(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Cloudflare's rate limit is reached. Retry after the number of seconds in Retry-After.",
    ),
    errors.TenantThrottled: Row(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "This tenant's share of the calls to Cloudflare is used. Retry after the number of seconds in Retry-After.",
    ),
}
INTERNAL_ERROR: Final = PROBLEMS[errors.InfrastructureError].detail


def row_of(kind: type[errors.RecordingsError]) -> Row:
    """Return the row of an error, or of its nearest listed base."""
    return next(PROBLEMS[base] for base in kind.__mro__ if base in PROBLEMS)


def detail_of(error: errors.RecordingsError) -> str:
    """Return the error's own text as a sentence, or the sentence of its row.

    The text of a ProviderFailure is never returned, because it can contain text from Cloudflare.
    """
    own = "" if isinstance(error, errors.ProviderFailure | errors.InfrastructureError) else str(error).strip()
    if not own:
        return row_of(type(error)).detail
    return f"{own[0].upper()}{own[1:]}" + ("" if own.endswith((".", "!", "?")) else ".")


# ---------------------------------------------------------------- refused requests


class ProblemError(Exception):
    """A refused request.

    `blocker` counts only if `names_blocker` is true: then the document has the member `recording`, which may be null.
    `retry_after` is in seconds.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        blocker: "Recording | None" = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(code)
        self.status, self.code = status, code
        self.detail = shortened(detail, MAX_DETAIL_CHARACTERS)
        first_of_field: dict[str, FieldError] = {}
        for error in errors:
            first_of_field.setdefault(error.field, _shortened(error))
        self.errors = [*first_of_field.values()][:MAX_REPORTED_ERRORS]
        self.blocker = blocker
        self.retry_after = retry_after

    @classmethod
    def from_domain(cls, error: errors.RecordingsError) -> "ProblemError":
        """Translate a domain error."""
        detail = detail_of(error)
        match error:
            case errors.Invalid():
                extra: dict[str, Any] = {"errors": [FieldError(field=error.field, message=detail)]}
            case errors.RoomAlreadyRecording() | errors.RoomIsRecording():
                extra = {"blocker": error.blocker}
            case errors.Throttled() | errors.ProviderThrottled():
                extra = {"retry_after": error.retry_after}
            case _:
                extra = {}
        return cls(row_of(type(error)).status, error.code, detail, **extra)

    def document(self, request_id: str) -> "Problem":
        """Return the response body."""
        from recordings.http.responses import problems as documents

        members: dict[str, Any] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            return documents.InvalidRequest(
                **members, errors=[documents.FieldError(**error._asdict()) for error in self.errors]
            )
        kind = {
            "room_already_recording": documents.RoomAlreadyRecording,
            "room_recording": documents.RoomRecording,
        }.get(self.code)
        if kind is not None:
            return kind(**members, recording=documents.Blocker.model_validate(self.blocker) if self.blocker else None)
        return documents.Problem(**members)


def invalid_request(field_errors: Sequence[FieldError]) -> ProblemError:
    """Return the 400 for invalid fields. A field's name may be the caller's text, the messages may not."""
    return ProblemError(
        HTTPStatus.BAD_REQUEST,
        "invalid_request",
        "The request is not valid. Correct the fields named in errors.",
        errors=field_errors,
    )


def invalid_field(field: str, message: str) -> ProblemError:
    """Return the 400 for one invalid field."""
    return invalid_request([FieldError(field=field, message=message)])


def shortened(text: str, max_characters: int) -> str:
    """Cut a text. Its last character is then `…`."""
    return text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"


def _shortened(error: FieldError) -> FieldError:
    return FieldError(
        field=shortened(error.field, MAX_FIELD_CHARACTERS), message=shortened(error.message, MAX_DETAIL_CHARACTERS)
    )
