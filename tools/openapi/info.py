"""What the document says of the API as a whole: its introduction, licence, servers, tags and how a caller signs in."""

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
* Answers are open: new fields, and new error codes, may come at any time. Ignore a field that you do not know, and
  decide an unknown `code` by its status. What is here now stays, with its meaning.
* A caller belongs to one tenant, named by a claim of the access token. What belongs to another tenant does not exist:
  404.
* Success bodies are `{"data": …}`, lists add `"meta"`; the answers to a download alone have no envelope.
* Errors are problem documents (RFC 9457), `application/problem+json`. Decide by `code`, which is stable; show `detail`
  to people.
* What the gateway in front of the API does not let through, it answers in its own words: `{"message": …}`, always as
  `application/json`. Where both can answer with the same status, the schema is one of the two and stands once, under
  the media type of the API's own answer, so that each status has one media type.
* 502, 503 and 504 leave nothing half done: make the same call again, after `Retry-After` where there is one.
* An `Idempotency-Key` on a POST or DELETE makes a repeat safe: the first answer is kept for 24 hours and given again.
* A recording goes `recording` → `processing` → `ready` → `archived`, or from the first two to `failed`. It never goes
  back, but for a move to cold storage that failed for good, which makes it `ready` again.
"""

TAGS: Final = {
    "Rooms": "What you call a Cloudflare RealtimeKit meeting, and what is recorded.",
    "Recordings": "Their life from start to cold storage.",
    "Cloudflare": "What Cloudflare calls.",
}
SCOPES: Final = {
    "recordings:read": "Read rooms and recordings.",
    "recordings:write": "Everything else.",
    "recordings:adopt": "Besides `recordings:write`: give a room a meeting that exists already.",
}


def info() -> Document:
    """Who the API is, and on which terms."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    licence = re.match(r"(\w+) License", (ROOT / "LICENSE").read_text("utf-8"))
    assert licence, "LICENSE does not begin with its name"
    return {
        "title": "Recordings",
        "version": project["version"],
        "summary": "Recordings of Cloudflare RealtimeKit rooms.",
        "description": INTRODUCTION,
        # Whoever deploys the API is its contact; the authors have no public address.
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
        " deployed with; it names the tenant in a claim. The addresses here are placeholders: those of your issuer are"
        " in its `/.well-known/openid-configuration`. Programs use client credentials, people the authorization code.",
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
