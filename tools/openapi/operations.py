"""What each operation does, answers and refuses, in words and codes; its route and its input come from the code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from recordings.domain import errors
from recordings.domain.errors import RecordingsError
from recordings.http import responses
from recordings.http.problems import row_of
from recordings.http.responses import Document

# The refusals that the frame around every function makes itself (recordings.http.endpoint).
FRAME: Final[Mapping[str, HTTPStatus]] = {
    "invalid_request": HTTPStatus.BAD_REQUEST,
    "signature_invalid": HTTPStatus.UNAUTHORIZED,
    "scope_missing": HTTPStatus.FORBIDDEN,
    "tenant_missing": HTTPStatus.FORBIDDEN,
    "tenant_invalid": HTTPStatus.FORBIDDEN,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
}

# Never answered: bases that nobody raises, and what the services rule out before it could be raised.
INTERNAL: Final = frozenset(
    {"recordings_error", "not_found", "conflict", "not_possible", "provider_failure", "transition_not_allowed"}
)

# The codes of what can go wrong anywhere.
ANYWHERE: Final = ("invalid_request", "body_too_large", "internal_error", "throttled")
WITH_TOKEN: Final = ("scope_missing", "tenant_missing", "tenant_invalid")
WITH_KEY: Final = ("request_in_progress", "idempotency_key_reused")
CLOUDFLARE: Final = ("provider_error", "provider_throttled", "provider_timeout")
# Of calls that count for a tenant.
CLOUDFLARE_FOR_TENANT: Final = (*CLOUDFLARE, "tenant_throttled")

# What the gateway answers by itself, in its own words.
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
    """Every error that a caller may be told about, bases first."""
    found: list[type[RecordingsError]] = []

    def add(kind: type[RecordingsError]) -> None:
        found.append(kind)
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                add(child)

    add(RecordingsError)
    return found


def statuses() -> dict[str, HTTPStatus]:
    """The HTTP status of every code."""
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
    """Links from an answer that holds a recording."""
    return {name: (name, {"id": DATA_ID}) for name in operations}


OPERATIONS: Final[Mapping[str, Operation]] = {
    "PutRoom": Operation(
        "Rooms",
        "Creates the room under an id of your choice, or updates the one that has it. What the body leaves out stays as"
        " it is, or takes its default.\n\nWithout `cloudflare_meeting_id` a new room gets a RealtimeKit meeting of its"
        " own, made once however often this is called. To name a meeting that the room does not have needs the scope"
        " `recordings:adopt`. A meeting belongs to one room: another room's is a 409 `meeting_in_use`, as is one that"
        " another tenant has ever had, and one that Cloudflare does not know is a 400. What was recorded in it before"
        " it was yours does not come in.\n\nA room that changes its meeting lets the old one go as a deletion does:"
        " what runs there is a 409 `room_recording`, and what has ended there is imported first.\n\n`record_on_start`"
        " is sent to Cloudflare whenever it is named. Left out, a room keeps what it has, and an adopted meeting what"
        " it does.",
        {
            HTTPStatus.OK: Success("The room was updated.", links=ROOM_LINKS),
            HTTPStatus.CREATED: Success("The room was created.", links=ROOM_LINKS),
        },
        ("scope_missing", "meeting_in_use", "room_recording", "concurrent_update", *CLOUDFLARE_FOR_TENANT),
        (("recordings:adopt",),),
    ),
    "GetRoom": Operation(
        "Rooms",
        "Reads a room. `active_recording_id` tells whether it is being recorded.",
        {HTTPStatus.OK: Success("The room.", links=ROOM_LINKS)},
        ("room_not_found",),
    ),
    "ListRooms": Operation(
        "Rooms",
        "Lists your rooms by id. Follow `meta.next_cursor` until it is null; a cursor stays good while rooms come and"
        " go.",
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
        "Deletes a room that is not being recorded. Its recordings stay, under the name the room had. First Cloudflare"
        " is asked: what runs in the meeting is a 409 `room_recording` that names it in `recording`, and what has ended"
        " and is not here yet is imported. Then automatic recording is switched off. The meeting stays yours: only your"
        " rooms can be given it again.",
        {HTTPStatus.OK: Success("The room is deleted.")},
        ("room_not_found", "room_recording", "concurrent_update", *CLOUDFLARE_FOR_TENANT),
    ),
    "StartRecording": Operation(
        "Recordings",
        "Begins recording a room. Of any number of calls at once exactly one gets the 201; the others get a 409"
        " `room_already_recording` that names the recording in `recording`. The same is answered when Cloudflare"
        " records the room on its own; its recording is then imported and yours to stop.\n\nAfter a 502, 503 or 504"
        " nothing is half done: make the same call again. Send an `Idempotency-Key` to be told the first answer when a"
        " connection breaks.",
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
        "Stops the recording of a room and begins processing it: the file is finished by Cloudflare, fetched and"
        " checked, and the recording is then `ready`. Poll `GET /api/v1/recordings/{id}` or listen to the events. If"
        " Cloudflare had already ended the recording, the call succeeds all the same.",
        {
            HTTPStatus.OK: Success(
                "The recording has been stopped.",
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
        " Names what this call imported or changed; with nothing new that is nothing.\n\nA 503 with `Retry-After`"
        " can mean that there is more to bring in than one call can: what came in is kept, call again.",
        {
            HTTPStatus.OK: Success(
                "The room is in line with Cloudflare.",
                links={"GetRecording": ("GetRecording", {"id": "$response.body#/data/recordings/0/id"})},
            )
        },
        ("room_not_found", *CLOUDFLARE_FOR_TENANT),
    ),
    "ListRecordings": Operation(
        "Recordings",
        "Lists your recordings, newest first by `created_at` and then by id. `meta.total` counts all that match the"
        " filters, exactly. Page by `offset` or, better while recordings come in, by `cursor`; not by both. Filters"
        " narrow one another; several `status` widen.",
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
        "Reads the whole of a recording: its history, the progress of work on it, why it failed. Of two views the one"
        " with the higher `version` is newer.",
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
        "Tells where the file can be downloaded: a presigned URL that needs no token, takes range requests and lives"
        " for `expires_in` seconds, or less where what signs it or a restored copy ends sooner: `expires_at` is the"
        " true end. The answers have no envelope.\n\nA 202 says that there is no file to read yet: with the status"
        " `processing` ask again after `Retry-After`; with `archived` restore the recording first.",
        {
            HTTPStatus.OK: Success("The file can be read.", models=(responses.Download,)),
            HTTPStatus.ACCEPTED: Success(
                "The file cannot be read yet.",
                headers=("RetryAfterIfKnown",),
                models=(responses.DownloadPending, responses.DownloadArchived),
            ),
        },
        ("recording_not_found", "recording_failed"),
    ),
    "ArchiveRecording": Operation(
        "Recordings",
        "Sends a recording that is `ready` and in R2 to cold storage. Answers at once, whatever the file's size; while"
        " the bytes move (`archive.state` is `moving`) the file is still downloaded from R2. If the move fails for"
        " good, the recording is `ready` again and `archive_error` says why.",
        {
            HTTPStatus.OK: Success(
                "The recording goes to cold storage.",
                links=_recording("RestoreRecording", "GetRecording", "DownloadRecording"),
            )
        },
        ("recording_not_found", "recording_not_archivable", "concurrent_update"),
    ),
    "RestoreRecording": Operation(
        "Recordings",
        "Asks cold storage for a readable copy; `archive.expected_at` says when to expect it. Asked again while one is"
        " being made, it gives the same answer; once one is there, it is kept longer. The tier `expedited` is not"
        " offered for what has gone on to Deep Archive (400), and may have no room (503).",
        {
            HTTPStatus.ACCEPTED: Success(
                "A readable copy has been asked for.",
                links=_recording("DownloadRecording", "GetRecording"),
            )
        },
        ("recording_not_found", "recording_not_archived", "concurrent_update"),
    ),
    "RecoverRecording": Operation(
        "Recordings",
        "Starts the processing of a recording anew: for one that is stuck in `processing` (see `progress.stuck_after`"
        " and `progress.stalled`). A run that is still at work is replaced, never doubled.",
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
        "Takes the recording out of every list, count and lookup; data and file are kept and can be undeleted, unless"
        " the operator has set a time after which they are purged. Work that runs on it goes on to its end. One that"
        " is being recorded is a 409 `recording_in_progress`: stop it first.",
        {HTTPStatus.OK: Success("The recording is deleted.", links=_recording("UndeleteRecording"))},
        ("recording_not_found", "recording_in_progress", "concurrent_update"),
    ),
    "UndeleteRecording": Operation(
        "Recordings",
        "Brings a deleted recording back as it is now. One that was not deleted stays as it is.",
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
        "Where Cloudflare RealtimeKit sends its webhooks; not for clients. It takes no token: the RSA signature of"
        " Cloudflare over the raw body is checked. The body is only a hint, what is stored comes from Cloudflare's own"
        " API. Unknown meetings and events are a 200 with `handled` false.",
        {HTTPStatus.OK: Success("The news was taken in, or is none of ours.")},
        ("signature_invalid", *CLOUDFLARE),
    ),
}
