"""The verified claims of an access token, as API Gateway delivers them.

The JWT authorizer of an HTTP API hands every claim on as a string: a number or a boolean as its JSON text, a list as
its items in brackets, `[a b]`, an object as `map[key:value]`. From such a string nobody can tell what the token holds:
`["a","b"]`, `["a b"]` and the string `[a b]` arrive alike. So a tenant is checked on the string, and only by what it
may hold.

Source: API Gateway Developer Guide, "Control access to HTTP APIs with JWT authorizers in API Gateway". The forms of
lists and objects are not documented; they have been seen.
"""

from http import HTTPStatus
from typing import Any, Final

from recordings import settings
from recordings.domain.ids import is_tenant_id
from recordings.http.problems import ProblemError

TENANT_INVALID: Final = (
    "The access token does not name a tenant as it must: one string of 1 to 128 characters of A-Z a-z 0-9 . _ @ : ~ -, "
    "beginning with a letter or digit."
)


def tenant_of(event: dict[str, Any]) -> str:
    """The caller's tenant.

    Raises:
        ProblemError: 403 `tenant_missing` without the claim, 403 `tenant_invalid` when it is no tenant's name
    """
    claim = settings.TOKENS().tenant_claim
    delivered = _jwt(event)["claims"].get(claim)
    if delivered is None or delivered == "":
        raise ProblemError(HTTPStatus.FORBIDDEN, "tenant_missing", "The access token names no tenant.")
    if not isinstance(delivered, str) or not is_tenant_id(delivered):
        raise ProblemError(HTTPStatus.FORBIDDEN, "tenant_invalid", TENANT_INVALID)
    return delivered


def scopes_of(event: dict[str, Any]) -> frozenset[str]:
    """The scopes that the token grants: those that API Gateway found, and those of the claims `scope` and `scp`.

    API Gateway itself reads both claims, and many issuers write a list: its brackets are no part of a scope.
    """
    jwt = _jwt(event)
    found = jwt["scopes"]
    texts = [jwt["claims"].get(name) for name in ("scope", "scp")]
    claimed = [text.removeprefix("[").removesuffix("]") for text in texts if isinstance(text, str)]
    return frozenset([*found, *(scope for text in claimed for scope in text.split())])


def _jwt(event: dict[str, Any]) -> dict[str, Any]:
    """Claims and scopes of the authorizer, whatever is null or missing; a route without an authorizer has none."""
    authorizer = event["requestContext"].get("authorizer")
    jwt = authorizer.get("jwt") if isinstance(authorizer, dict) else None
    claims, scopes = (jwt.get("claims"), jwt.get("scopes")) if isinstance(jwt, dict) else (None, None)
    return {
        "claims": claims if isinstance(claims, dict) else {},
        "scopes": [scope for scope in scopes if isinstance(scope, str)] if isinstance(scopes, list) else [],
    }
