"""Domain errors as HTTP: the only place that knows both.

Whatever a problem document says of its cause is our own sentence and short: `Problem` keeps to that, whoever makes one.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from recordings.domain import errors

MAX_DETAIL_CHARACTERS: Final = 300
MAX_FIELD_CHARACTERS: Final = 64
# Conflicts that a moment later need not be there.
TRY_AGAIN: Final = frozenset({"concurrent_update", "request_in_progress"})

STATUS_OF: Final[Mapping[type[errors.RecordingsError], HTTPStatus]] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TransitionNotAllowed: HTTPStatus.CONFLICT,
    errors.NotPossible: HTTPStatus.BAD_REQUEST,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.ScopeMissing: HTTPStatus.FORBIDDEN,
    errors.Throttled: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InfrastructureError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ProviderThrottled: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ProviderTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    errors.ProviderFailure: HTTPStatus.BAD_GATEWAY,
}

# What a person can do about an error that was raised without a sentence of its own.
DETAIL_OF: Final[Mapping[type[errors.RecordingsError], str]] = {
    errors.RoomNotFound: "There is no such room; create it with PUT /api/v1/rooms/{id}.",
    errors.RecordingNotFound: "There is no such recording; GET /api/v1/recordings lists those there are.",
    errors.NoActiveRecording: "The room is not being recorded; start a recording first.",
    errors.NotFound: "There is nothing at this address.",
    errors.RoomAlreadyRecording: "The room is already being recorded; stop that recording first.",
    errors.RoomIsRecording: "The room is being recorded. Stop that recording first, then make the call again.",
    errors.MeetingInUse: "This meeting belongs to another room; give another meeting, or none to have one made.",
    errors.MeetingReleased: "The meeting belongs to no room now. Sync again when its recording has ended.",
    errors.RecordingFailed: "The recording failed and has no file; its failure says why.",
    errors.RecordingInProgress: "The recording is in progress; stop it before deleting it.",
    errors.RecordingNotArchivable: "Only a ready recording in R2 can be archived; read the recording again.",
    errors.RecordingNotArchived: "Only a recording in cold storage can be restored; read the recording again.",
    errors.RecordingNotRecoverable: "Only a recording in processing can be recovered; read the recording again.",
    errors.NotPossible: "The recording does not allow this as it is; read it again.",
    errors.ConcurrentUpdate: "Somebody else changed this at the same moment; make the call again.",
    errors.RequestInProgress: "The first request with this Idempotency-Key still runs; try again in a moment.",
    errors.Conflict: "The present state does not allow this; read it again.",
    errors.TransitionNotAllowed: "The recording's status does not allow this; read the recording again.",
    errors.IdempotencyKeyReused: "This Idempotency-Key was used for another request; use a new one.",
    errors.InvalidCursor: "The cursor was not issued by this API; leave it out to begin with the first page.",
    errors.MeetingUnknown: "Cloudflare knows no such meeting; give the id of one, or none to have one made.",
    errors.TierNotOffered: "The storage class that the file is in has no such tier; take another one.",
    errors.Invalid: "The request is not valid; its errors say why.",
    errors.ScopeMissing: "The access token lacks the scope recordings:adopt, which naming an existing meeting needs.",
    errors.Throttled: "There are too many requests; try again after the time in Retry-After.",
    errors.InfrastructureError: "Something went wrong on our side; the request id leads to the cause.",
    errors.TenantThrottled: "This tenant's share of Cloudflare's calls is used; retry after the time in Retry-After.",
    errors.ProviderThrottled: "Cloudflare takes no more requests now; try again after the time in Retry-After.",
    errors.ProviderTimeout: "Cloudflare did not answer in time; make the call again.",
    errors.ProviderFailure: "Cloudflare could not do this; make the call again.",
    errors.RecordingsError: "The request could not be carried out.",
}


class Problem(Exception):
    """What a caller is refused with. `extra` are further members of the document, and `retry_after` (seconds).

    `detail` is cut at 300 characters; of `errors`, each field name at 64 and each message at 300.
    """

    def __init__(self, status: HTTPStatus, code: str, detail: str, **extra: Any) -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, shortened(detail, MAX_DETAIL_CHARACTERS)
        self.extra = extra
        if "errors" in extra:
            self.extra["errors"] = [
                {
                    "field": shortened(one["field"], MAX_FIELD_CHARACTERS),
                    "message": shortened(one["message"], MAX_DETAIL_CHARACTERS),
                }
                for one in extra["errors"]
            ]

    @property
    def is_passing(self) -> bool:
        """Whether it says "try again": such an answer decides nothing, and the same call must be a real one again."""
        if self.code == "room_already_recording" and self.extra.get("recording") is None:
            # A start is under way, and may come to nothing: there is no recording yet that could be stopped.
            return True
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.code in TRY_AGAIN


def invalid(field_name: str, message: str) -> Problem:
    """The refusal of one field of what the caller sent; raise it. The name may be the caller's own, the message not."""
    name = shortened(field_name, MAX_FIELD_CHARACTERS)
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "invalid_request",
        f"The request is not valid: {name} {message}.",
        errors=[{"field": name, "message": message}],
    )


def refused(status: HTTPStatus, code: str, detail: str) -> Problem:
    """Another refusal; raise it."""
    return Problem(status, code, detail)


def shortened(text: str, most: int) -> str:
    """At most so many characters of a text; what is cut off is shown by a last one, `…`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def status_of(error: errors.RecordingsError) -> HTTPStatus:
    """The status of the nearest listed ancestor; an unlisted error is a bug, hence 500."""
    return next(
        (STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def detail_of(error: errors.RecordingsError) -> str:
    """The error's own words as one sentence, or the advice for its nearest listed ancestor.

    A failure of Cloudflare is told by the advice alone: no word of what Cloudflare said can be in it.
    """
    own = "" if isinstance(error, errors.ProviderFailure) else str(error).strip()
    if not own:
        return next(DETAIL_OF[kind] for kind in type(error).__mro__ if kind in DETAIL_OF)
    return f"{own[0].upper()}{own[1:]}" + ("" if own.endswith((".", "!", "?")) else ".")
