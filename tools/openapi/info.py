"""What the document says about the API as a whole: introduction, licence, servers, tags and authorization."""

import re
import tomllib
from typing import Any, Final

from tools.openapi import ROOT

type Document = dict[str, Any]

SECURITY: Final = "AccessToken"
# Reserved for documentation (RFC 2606): each deployment has an issuer of its own.
ISSUER: Final = "https://issuer.example.com"

INTRODUCTION: Final = """\
Starts, stops, lists, downloads and archives recordings of Cloudflare RealtimeKit rooms.

* JSON in UTF-8. Times are RFC 3339 in UTC, whole seconds, with a `Z`; sizes are bytes, durations whole seconds. An
  unknown value is `null`, not missing. Unknown query parameters and unknown JSON keys are a 400.
* Responses are open: new fields and new error codes may appear at any time. Ignore a field that you do not know, and
  treat an unknown `code` by its status. What is documented now stays, with its meaning.
* A caller belongs to one tenant, named by a claim of the access token. Whatever belongs to another tenant is a 404.
* Success bodies are `{"data": …}`, lists add `"meta"`. Only the responses to a download have no envelope.
* Errors are problem documents (RFC 9457), `application/problem+json`. Decide by `code`, which is stable. Show `detail`
  to people.
* The gateway in front of the API responds to requests that it rejects with `{"message": …}`, always as
  `application/json`. If the gateway and the API can respond with the same status, the schema allows both. It is listed
  once, under the media type of the API, so that each status has one media type.
* 502, 503 and 504 leave nothing half done: make the same call again, after `Retry-After` where there is one.
* An `Idempotency-Key` on a POST or DELETE makes a repeat safe: for 24 hours the first response is returned again.
* A recording goes `recording` → `processing` → `ready` → `archived`, or from the first two to `failed`. It never goes
  back, with one exception: after a move to cold storage that failed permanently it is `ready` again.
"""

TAGS: Final = {
    "Rooms": "Your names for Cloudflare RealtimeKit meetings. Rooms are recorded.",
    "Recordings": "Their life from start to cold storage.",
    "Cloudflare": "Called by Cloudflare.",
}
SCOPES: Final = {
    "recordings:read": "Read rooms and recordings.",
    "recordings:write": "Everything else.",
    "recordings:adopt": "Besides `recordings:write`: name an existing meeting for a room.",
    "recordings:audit": "Read who was given download URLs.",
}


def info() -> Document:
    """Return the title, version, contact and licence of the API."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    licence = re.match(r"(\w+) License", (ROOT / "LICENSE").read_text("utf-8"))
    assert licence, "LICENSE does not begin with its name"
    return {
        "title": "Recordings",
        "version": project["version"],
        "summary": "Recordings of Cloudflare RealtimeKit rooms.",
        "description": INTRODUCTION,
        # Whoever deploys the API is its contact. The authors have no public address.
        "contact": {"name": "The team that deployed this API"},
        "license": {"name": licence[1], "url": f"https://spdx.org/licenses/{licence[1]}.html"},
    }


SERVERS: Final[list[Document]] = [
    {
        "url": "https://{host}",
        "description": "A deployed stack.",
        "variables": {
            "host": {
                "default": "recordings.example.com",
                "description": "The host in `ApiUrl`, one of the outputs of the deployed stack.",
            }
        },
    }
]

SECURITY_SCHEMES: Final[Document] = {
    SECURITY: {
        "type": "oauth2",
        "description": "A JWT in `Authorization: Bearer …`, of the issuer and for the audience that the API was"
        " deployed with. A claim names the tenant. The addresses here are placeholders: your issuer lists its own in"
        " `/.well-known/openid-configuration`. Programs use client credentials, people use the authorization code.",
        "flows": {
            "clientCredentials": {"tokenUrl": f"{ISSUER}/oauth2/token", "scopes": SCOPES},
            "authorizationCode": {
                "authorizationUrl": f"{ISSUER}/oauth2/authorize",
                "tokenUrl": f"{ISSUER}/oauth2/token",
                "scopes": SCOPES,
            },
        },
    }
}
