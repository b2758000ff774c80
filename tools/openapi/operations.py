"""What each operation does, returns and refuses, in words and codes. Its route and its input come from the code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from recordings.domain import errors
from recordings.domain.errors import RecordingsError
from recordings.http.problems import row_of
from recordings.http.responses import downloads
from recordings.http.responses.base import Document

# The codes of the frame around every function (recordings.http.endpoint).
FRAME: Final[Mapping[str, HTTPStatus]] = {
    "invalid_request": HTTPStatus.BAD_REQUEST,
    "signature_invalid": HTTPStatus.UNAUTHORIZED,
    "scope_missing": HTTPStatus.FORBIDDEN,
    "tenant_missing": HTTPStatus.FORBIDDEN,
    "tenant_invalid": HTTPStatus.FORBIDDEN,
    "actor_missing": HTTPStatus.FORBIDDEN,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
}

# Never returned: bases that are not raised, and errors that the services rule out before.
INTERNAL: Final = frozenset(
    {"recordings_error", "not_found", "conflict", "not_possible", "provider_failure", "transition_not_allowed"}
)

# Codes that every operation can return.
ANYWHERE: Final = ("invalid_request", "body_too_large", "internal_error", "throttled")
WITH_TOKEN: Final = ("scope_missing", "tenant_missing", "tenant_invalid", "actor_missing")
WITH_KEY: Final = ("request_in_progress", "idempotency_key_reused")
CLOUDFLARE: Final = ("provider_error", "provider_throttled", "provider_timeout")
# If the calls to Cloudflare count for a tenant.
CLOUDFLARE_FOR_TENANT: Final = (*CLOUDFLARE, "tenant_throttled")

# Responses of the gateway itself, and its words.
GATEWAY: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "Not Found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    HTTPStatus.TOO_MANY_REQUESTS: "Too Many Requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal Server Error",
    HTTPStatus.SERVICE_UNAVAILABLE: "Service Unavailable",
}


def error_classes() -> list[type[RecordingsError]]:
    """Return every error that a caller may receive, bases first."""
    found: list[type[RecordingsError]] = []

    def add(kind: type[RecordingsError]) -> None:
        found.append(kind)
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                add(child)

    add(RecordingsError)
    return found


def statuses() -> dict[str, HTTPStatus]:
    """Return the HTTP status of every code."""
    return {**{kind.code: row_of(kind).status for kind in error_classes()}, **FRAME}


@dataclass(frozen=True, slots=True)
class Success:
    """A successful response. `headers` are the names of components.

    `models` are documents that only this status returns. If empty, every document of the handler is one of them.
    """

    description: str
    headers: tuple[str, ...] = ()
    # Name of the link -> operation, and its parameters as runtime expressions.
    links: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    models: tuple[type[Document], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """What the code does not say about an operation.

    `codes`: beyond what can go wrong anywhere. `more_scopes`: each names scopes that, besides those of the route, allow
    the operation to do more.
    """

    tag: str
    description: str
    successes: Mapping[HTTPStatus, Success]
    codes: tuple[str, ...] = ()
    more_scopes: tuple[tuple[str, ...], ...] = ()


DATA_ID: Final = "$response.body#/data/id"
ROOM_LINKS: Final = {
    "StartRecording": ("StartRecording", {"id": DATA_ID}),
    "SyncRecordings": ("SyncRecordings", {"id": DATA_ID}),
    "GetRoom": ("GetRoom", {"id": DATA_ID}),
    "DeleteRoom": ("DeleteRoom", {"id": DATA_ID}),
    "ListRecordingsOfRoom": ("ListRecordings", {"room_id": DATA_ID}),
}


def _recording(*operations: str) -> dict[str, tuple[str, Mapping[str, str]]]:
    """Return links from a response that has a recording."""
    return {name: (name, {"id": DATA_ID}) for name in operations}


OPERATIONS: Final[Mapping[str, Operation]] = {
    "PutRoom": Operation(
        "Rooms",
        "Creates the room with an id of your choice, or updates the room that has this id. An omitted field keeps its"
        " value, or takes its default in a new room.\n\nWithout `cloudflare_meeting_id` a new room gets a new"
        " RealtimeKit meeting. Repeated calls create it once. To name a meeting that the room does not have, the token"
        " needs the scope `recordings:adopt`. A meeting belongs to one room: the meeting of another room is a 409"
        " `meeting_in_use`, and so is a meeting that another tenant ever had. A meeting that Cloudflare does not know"
        " is a 400. Recordings made in it before it was yours are not imported.\n\nA room that changes its meeting"
        " releases the old one, as a deletion does: a running recording is a 409 `room_recording`, and ended"
        " recordings are imported first.\n\n`record_on_start` is sent to Cloudflare whenever the request has it. If it"
        " is omitted, the room and an adopted meeting keep their setting.",
        {
            HTTPStatus.OK: Success("The room was updated.", links=ROOM_LINKS),
            HTTPStatus.CREATED: Success("The room was created.", links=ROOM_LINKS),
        },
        ("scope_missing", "meeting_in_use", "room_recording", "concurrent_update", *CLOUDFLARE_FOR_TENANT),
        (("recordings:adopt",),),
    ),
    "GetRoom": Operation(
        "Rooms",
        "Returns a room. While it is being recorded, `active_recording_id` is the id of the recording.",
        {HTTPStatus.OK: Success("The room.", links=ROOM_LINKS)},
        ("room_not_found",),
    ),
    "ListRooms": Operation(
        "Rooms",
        "Lists your rooms, sorted by id. Follow `meta.next_cursor` until it is null. A cursor stays valid when rooms"
        " are created or deleted.",
        {
            HTTPStatus.OK: Success(
                "A page of rooms.",
                links={
                    "NextPage": ("ListRooms", {"cursor": "$response.body#/meta/next_cursor"}),
                    "GetRoom": ("GetRoom", {"id": "$response.body#/data/0/id"}),
                },
            )
        },
    ),
    "DeleteRoom": Operation(
        "Rooms",
        "Deletes a room that is not being recorded. Its recordings stay, and show the name that the room had. First the"
        " API asks Cloudflare: a recording that is running in the meeting is a 409 `room_recording` with the member"
        " `recording`, and ended recordings are imported. Then automatic recording is switched off. The meeting stays"
        " yours: only your rooms can use it again.",
        {HTTPStatus.OK: Success("The room is deleted.")},
        ("room_not_found", "room_recording", "concurrent_update", *CLOUDFLARE_FOR_TENANT),
    ),
    "StartRecording": Operation(
        "Recordings",
        "Starts recording a room. Of any number of simultaneous calls exactly one gets the 201. The others get a 409"
        " `room_already_recording` with the member `recording`. The response is the same if Cloudflare is recording the"
        " room on its own. That recording is imported, and you can stop it.\n\nAfter a 502, 503 or 504 nothing is half"
        " done: make the same call again. Send an `Idempotency-Key` to get the first response again after a lost"
        " connection.",
        {
            HTTPStatus.CREATED: Success(
                "The room is being recorded.",
                ("Location",),
                {
                    "StopRecording": ("StopRecording", {"id": "$response.body#/data/room_id"}),
                    **_recording("GetRecording", "DownloadRecording"),
                },
            )
        },
        ("room_not_found", "room_already_recording", "concurrent_update", *CLOUDFLARE_FOR_TENANT),
    ),
    "StopRecording": Operation(
        "Recordings",
        "Stops the recording of a room and starts processing it: Cloudflare finishes the file, the API copies and"
        " verifies it, and then the recording is `ready`. Poll `GET /api/v1/recordings/{id}` or listen to the events."
        " The call also succeeds if Cloudflare had already ended the recording.",
        {
            HTTPStatus.OK: Success(
                "The recording is stopped.",
                links=_recording("GetRecording", "DownloadRecording", "RecoverRecording", "DeleteRecording"),
            )
        },
        (
            "room_not_found",
            "no_active_recording",
            "room_already_recording",
            "concurrent_update",
            *CLOUDFLARE_FOR_TENANT,
        ),
    ),
    "SyncRecordings": Operation(
        "Recordings",
        "Brings the room's recordings in line with Cloudflare, and imports those that Cloudflare started on its own."
        " Returns what this call imported or changed, which can be nothing.\n\nA 503 with `Retry-After` can mean that"
        " there is more to import than one call can. What was imported stays. Call again.",
        {
            HTTPStatus.OK: Success(
                "The room's recordings are in line with Cloudflare.",
                links={"GetRecording": ("GetRecording", {"id": "$response.body#/data/recordings/0/id"})},
            )
        },
        ("room_not_found", *CLOUDFLARE_FOR_TENANT),
    ),
    "ListRecordings": Operation(
        "Recordings",
        "Lists your recordings, newest first: by `created_at`, then by id. `meta.total` is the exact number of"
        " recordings that match the filters. Page by `offset` or by `cursor`, not by both. Prefer `cursor` while new"
        " recordings appear. Filters are combined with AND, several `status` with OR.",
        {
            HTTPStatus.OK: Success(
                "A page of recordings.",
                links={
                    "NextPage": ("ListRecordings", {"cursor": "$response.body#/meta/next_cursor"}),
                    "GetRecording": ("GetRecording", {"id": "$response.body#/data/0/id"}),
                },
            )
        },
    ),
    "GetRecording": Operation(
        "Recordings",
        "Returns everything about a recording: its history, the current work on it, why it failed. Of two responses the"
        " one with the higher `version` is newer.",
        {
            HTTPStatus.OK: Success(
                "The recording.",
                links=_recording(
                    "DownloadRecording", "ArchiveRecording", "RecoverRecording", "RestoreRecording", "DeleteRecording"
                ),
            )
        },
        ("recording_not_found",),
    ),
    "DownloadRecording": Operation(
        "Recordings",
        "Returns a presigned URL of the file. It needs no token, takes range requests and is valid for `expires_in`"
        " seconds. `expires_at` is its true end, which is earlier if the signing key or a restored copy expires"
        " earlier. These responses have no envelope.\n\nA 202 means that the file cannot be read yet. If the status is"
        " `processing`, call again after `Retry-After`. If it is `archived`, restore the recording first.",
        {
            HTTPStatus.OK: Success("The file can be read.", models=(downloads.Download,)),
            HTTPStatus.ACCEPTED: Success(
                "The file cannot be read yet.",
                headers=("RetryAfterIfKnown",),
                models=(downloads.DownloadPending, downloads.DownloadArchived),
            ),
        },
        ("recording_not_found", "recording_failed"),
    ),
    "ListAccess": Operation(
        "Recordings",
        "Lists who was given a download URL of the recording, the latest first: when, until when the URL works, and"
        " which request it answered. An entry is kept for a year, or for as long as the deployment says. The API does"
        " not see whether the URL was used.",
        {
            HTTPStatus.OK: Success(
                "A page of the access log.",
                links={"NextPage": ("ListAccess", {"cursor": "$response.body#/meta/next_cursor"})},
            )
        },
        ("recording_not_found",),
    ),
    "ArchiveRecording": Operation(
        "Recordings",
        "Moves a recording that is `ready` and in R2 to cold storage. The response comes at once, whatever the size of"
        " the file. While the file moves (`archive.state` is `moving`), it can still be downloaded from R2. If the move"
        " fails permanently, the recording is `ready` again and `archive_error` says why.",
        {
            HTTPStatus.OK: Success(
                "The recording is on its way to cold storage.",
                links=_recording("RestoreRecording", "GetRecording", "DownloadRecording"),
            )
        },
        ("recording_not_found", "recording_not_archivable", "concurrent_update"),
    ),
    "RestoreRecording": Operation(
        "Recordings",
        "Requests a readable copy from cold storage. `archive.expected_at` says when to expect it. A repeated call"
        " returns the same response while the copy is being made, and extends its life afterwards. The tier `expedited`"
        " is not available for files in Deep Archive (400), and can be out of capacity (503).",
        {
            HTTPStatus.ACCEPTED: Success(
                "A readable copy was requested.",
                links=_recording("DownloadRecording", "GetRecording"),
            )
        },
        ("recording_not_found", "recording_not_archived", "concurrent_update"),
    ),
    "RecoverRecording": Operation(
        "Recordings",
        "Starts the processing of a recording again, if it is stuck in `processing` (see `progress.stuck_after` and"
        " `progress.stalled`). An execution that is still running is replaced, never doubled.",
        {
            HTTPStatus.OK: Success(
                "The recording is being processed again.",
                links=_recording("GetRecording", "DownloadRecording"),
            )
        },
        ("recording_not_found", "recording_not_recoverable", "concurrent_update"),
    ),
    "DeleteRecording": Operation(
        "Recordings",
        "Removes the recording from every list, count and lookup. Its data and its file stay and can be undeleted,"
        " unless the operator configured a retention after which they are purged. Work on it continues to its end. If"
        " it is being recorded, the response is a 409 `recording_in_progress`: stop it first.",
        {HTTPStatus.OK: Success("The recording is deleted.", links=_recording("UndeleteRecording"))},
        ("recording_not_found", "recording_in_progress", "concurrent_update"),
    ),
    "UndeleteRecording": Operation(
        "Recordings",
        "Brings a deleted recording back in its current state. A recording that was not deleted does not change.",
        {
            HTTPStatus.OK: Success(
                "The recording is back.",
                links=_recording("GetRecording", "DeleteRecording"),
            )
        },
        ("recording_not_found", "concurrent_update"),
    ),
    "ReceiveWebhook": Operation(
        "Cloudflare",
        "Receives the webhooks of Cloudflare RealtimeKit. Not for clients. It takes no access token, but checks"
        " Cloudflare's RSA signature of the raw body. The body is only a notification: what is stored is read from"
        " Cloudflare's API. Unknown meetings and events are a 200 with `handled` false.",
        {HTTPStatus.OK: Success("The webhook was handled, or was about nothing of this service.")},
        ("signature_invalid", *CLOUDFLARE),
    ),
}
