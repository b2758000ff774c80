"""The verified claims of an access token, as API Gateway delivers them.

The JWT authorizer of an HTTP API passes every claim as a string: a number or a boolean as its JSON text, a list as its
items in brackets, `[a b]`, an object as `map[key:value]`. The string does not show what the token holds: `["a","b"]`,
`["a b"]` and the string `[a b]` arrive alike. So a tenant's name is checked by the characters of this string.

Source: API Gateway Developer Guide, "Control access to HTTP APIs with JWT authorizers in API Gateway". The forms of
lists and objects are not documented. They were observed.
"""

from http import HTTPStatus
from typing import Any, Final

from recordings import settings
from recordings.domain.actor import Actor, is_actor_id
from recordings.domain.ids import is_tenant_id
from recordings.http.problems import ProblemError

TENANT_INVALID: Final = (
    "The access token does not name a tenant as it must: one string of 1 to 128 characters of A-Z a-z 0-9 . _ @ : ~ -, "
    "beginning with a letter or digit."
)
ACTOR_MISSING: Final = (
    "The access token does not say who calls: it needs the claim that this deployment takes the caller's id from, or"
    " the id of a client, as 1 to 256 printable characters."
)
# The claims that name a client: of RFC 9068 (section 2.2), of OpenID Connect and of Okta.
CLIENT_CLAIMS: Final = ("client_id", "azp", "cid")


def tenant_of(event: dict[str, Any]) -> str:
    """Return the caller's tenant.

    Raises:
        ProblemError: 403 `tenant_missing`: the token has no such claim
        ProblemError: 403 `tenant_invalid`: the claim is not the name of a tenant
    """
    claim = settings.TOKENS().tenant_claim
    delivered = _jwt(event)["claims"].get(claim)
    if delivered is None or delivered == "":
        raise ProblemError(HTTPStatus.FORBIDDEN, "tenant_missing", "The access token names no tenant.")
    if not isinstance(delivered, str) or not is_tenant_id(delivered):
        raise ProblemError(HTTPStatus.FORBIDDEN, "tenant_invalid", TENANT_INVALID)
    return delivered


def actor_of(event: dict[str, Any], request_id: str) -> Actor | None:
    """Return who calls, or None if the token does not say it.

    A program that calls for itself may have no user: its client is then the actor.
    """
    claims = _jwt(event)["claims"]
    named = (claims.get(name) for name in CLIENT_CLAIMS)
    client_id = next((text for text in named if isinstance(text, str) and is_actor_id(text)), None)
    found = claims.get(settings.TOKENS().actor_claim)
    user_id = found if isinstance(found, str) and is_actor_id(found) else client_id
    return Actor("user", user_id, client_id, request_id or None) if user_id is not None else None


def scopes_of(event: dict[str, Any]) -> frozenset[str]:
    """Return the scopes of the token: those that API Gateway found, and those of the claims `scope` and `scp`.

    API Gateway reads both claims itself. Many issuers write a list, and its brackets are not part of a scope.
    """
    jwt = _jwt(event)
    found = jwt["scopes"]
    texts = [jwt["claims"].get(name) for name in ("scope", "scp")]
    claimed = [text.removeprefix("[").removesuffix("]") for text in texts if isinstance(text, str)]
    return frozenset([*found, *(scope for text in claimed for scope in text.split())])


def _jwt(event: dict[str, Any]) -> dict[str, Any]:
    """Return claims and scopes of the authorizer, empty if they are null or missing. A route may have no authorizer."""
    authorizer = event["requestContext"].get("authorizer")
    jwt = authorizer.get("jwt") if isinstance(authorizer, dict) else None
    claims, scopes = (jwt.get("claims"), jwt.get("scopes")) if isinstance(jwt, dict) else (None, None)
    return {
        "claims": claims if isinstance(claims, dict) else {},
        "scopes": [scope for scope in scopes if isinstance(scope, str)] if isinstance(scopes, list) else [],
    }
