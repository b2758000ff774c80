"""What the operations share: headers, parameters, and the description of each error response."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from recordings.domain import ids
from recordings.http.idempotency import MAX_KEY_CHARACTERS
from tools.openapi import examples

type Document = dict[str, Any]

HEADERS: Final[Mapping[str, Document]] = {
    "RequestId": {
        "description": "Identifies this request in our logs.",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "example": examples.REQUEST_ID,
    },
    "RequestIdOfApi": {
        "description": "Identifies this request in our logs. Responses of the gateway itself do not have it.",
        "schema": {"type": "string", "minLength": 1},
        "example": examples.REQUEST_ID,
    },
    "Location": {
        "description": "The address of the new recording.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "pattern": "^/api/v1/recordings/rec_"},
        "example": f"/api/v1/recordings/{examples.ID}",
    },
    "RetryAfter": {
        "description": "Number of seconds after which to make the same call again. Responses of the gateway itself do"
        " not have it.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "RetryAfterIfKnown": {
        "description": "Number of seconds after which to call again. Present if the status is `processing`.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 10,
    },
}
HEADER_NAMES: Final = {
    "RequestId": "X-Request-Id",
    "RequestIdOfApi": "X-Request-Id",
    "Location": "Location",
    "RetryAfter": "Retry-After",
    "RetryAfterIfKnown": "Retry-After",
}
KEY_PARAMETER: Final[Document] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A value of your choice for this request, such as a UUID. For 24 hours a repeat with the same key"
    " returns the first response. The same key with another request is a 422 `idempotency_key_reused`. A repeat while"
    " the first request is running is a 409 `request_in_progress`.",
    # Spaces at the ends are not part of a header's value. Source: RFC 9110, section 5.5.
    "schema": {"type": "string", "maxLength": MAX_KEY_CHARACTERS, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "2f1b6c0e-9d0b-4f43-8d0e-6f5f6f6d3b10",
}
SIGNATURE_PARAMETER: Final[Document] = {
    "name": "rtk-signature",
    "in": "header",
    "description": "Cloudflare's RSA signature of the raw body, in base64. Without it the response is a 401.",
    "schema": {"type": "string"},
    "example": examples.SIGNATURE,
}
REFUSALS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: "The request is not valid; `errors` names the fields.",
    HTTPStatus.UNAUTHORIZED: "The access token is missing or not valid here. Sent by the gateway.",
    HTTPStatus.FORBIDDEN: "The access token lacks the scope, or names no tenant.",
    HTTPStatus.NOT_FOUND: "It does not exist, or it belongs to another tenant.",
    HTTPStatus.CONFLICT: "The current state does not allow this.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over 64 KB.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used for another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "The gateway accepts no more requests now.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error of ours. The request id finds its cause.",
    HTTPStatus.BAD_GATEWAY: "Cloudflare could not do this. Nothing is half done: make the call again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many requests. Nothing is half done: make the call again.",
    HTTPStatus.GATEWAY_TIMEOUT: "Cloudflare did not answer in time. Nothing is half done: make the call again.",
}


def parameters() -> dict[str, Document]:
    """Return the parameters that operations refer to, by the names of their components."""
    return {
        "RoomId": {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "The room's id. You choose it.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": f"^{ids.ROOM_ID.pattern}$"},
            "example": examples.ROOM.id,
        },
        "RecordingId": {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "The recording's id. Opaque. A malformed id is a 404, like an unknown one.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9_]+$"},
            "example": examples.ID,
        },
        "IdempotencyKey": KEY_PARAMETER,
        "Signature": SIGNATURE_PARAMETER,
    }
