"""Claims as API Gateway delivers them: always strings, whatever the token holds."""

from typing import Any

import pytest

from recordings.domain.actor import Actor
from recordings.http.claims import actor_of, scopes_of, tenant_of
from recordings.http.problems import ProblemError


def an_event(claims: dict[str, Any], scopes: list[str] | None = None) -> dict[str, Any]:
    return {"requestContext": {"authorizer": {"jwt": {"claims": claims, "scopes": scopes}}}}


@pytest.mark.parametrize(
    "tenant",
    ["acme", "A", "0", "a" * 128, "acme.example", "a_b-c~d@e:f", "5", "true"],
    ids=lambda tenant: tenant[:16],
)
def test_a_name_of_the_allowed_characters_is_a_tenant(tenant: str) -> None:
    assert tenant_of(an_event({"tenant_id": tenant})) == tenant


@pytest.mark.parametrize(
    "delivered",
    [
        pytest.param("[acme]", id='["acme"]'),
        pytest.param("[a b]", id='["a","b"] or ["a b"]'),
        pytest.param("[]", id="an empty list"),
        pytest.param("map[a:1]", id='{"a": 1}'),
        pytest.param("<nil>", id="null"),
        pytest.param("1e+21", id="a large number"),
        pytest.param("-5", id="a negative number"),
        pytest.param("a b", id="a space"),
        pytest.param(" a", id="a space before it"),
        pytest.param("a\n", id="a line break after it"),
        pytest.param(".", id="one dot"),
        pytest.param("..", id="two dots"),
        pytest.param(".acme", id="a dot before it"),
        pytest.param("-acme", id="a dash before it"),
        pytest.param("a/b", id="a slash"),
        pytest.param("a#b", id="a number sign"),
        pytest.param("a%2Fb", id="a percent sign"),
        pytest.param("é", id="a letter outside ASCII"),
        pytest.param("\N{FULLWIDTH DIGIT ONE}", id="a digit outside ASCII"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param("a" * 129, id="129 characters"),
        pytest.param("a" * 60_000, id="60,000 characters"),
    ],
)
def test_any_other_value_is_no_tenant_and_is_not_repeated(delivered: str) -> None:
    with pytest.raises(ProblemError) as refused:
        tenant_of(an_event({"tenant_id": delivered}))
    assert (refused.value.status, refused.value.code) == (403, "tenant_invalid")
    assert len(delivered) < 4 or delivered not in refused.value.detail


@pytest.mark.parametrize("claims", [{}, {"tenant_id": ""}, {"tenant": "acme"}])
def test_without_the_claim_there_is_no_tenant(claims: dict[str, Any]) -> None:
    with pytest.raises(ProblemError) as refused:
        tenant_of(an_event(claims))
    assert (refused.value.status, refused.value.code) == (403, "tenant_missing")


@pytest.mark.parametrize(
    ("claims", "scopes", "granted"),
    [
        pytest.param({"scope": "a b"}, None, {"a", "b"}, id="scope is a string"),
        pytest.param({"scope": "[a b]"}, None, {"a", "b"}, id="scope is a list"),
        pytest.param({"scp": "[a b]"}, None, {"a", "b"}, id="scp is a list"),
        pytest.param({"scope": "a"}, ["a", "b"], {"a", "b"}, id="the gateway found them"),
        pytest.param({}, None, set(), id="none"),
        pytest.param({"scope": "map[a:b]"}, None, {"map[a:b"}, id="scope is an object"),
    ],
)
def test_scopes_are_those_of_the_token(claims: dict[str, Any], scopes: list[str] | None, granted: set[str]) -> None:
    assert scopes_of(an_event(claims, scopes)) == granted


@pytest.mark.parametrize(
    "context",
    [{}, {"authorizer": None}, {"authorizer": {"jwt": None}}, {"authorizer": {"jwt": {"claims": None}}}],
    ids=["no authorizer", "null", "no token", "no claims"],
)
def test_a_request_without_a_token_has_no_scope_and_no_tenant(context: dict[str, Any]) -> None:
    event = {"requestContext": context}
    assert scopes_of(event) == frozenset()
    with pytest.raises(ProblemError) as refused:
        tenant_of(event)
    assert refused.value.code == "tenant_missing"


# ---------------------------------------------------------------- the caller


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        pytest.param({"sub": "u"}, ("u", None), id="a user"),
        pytest.param({"sub": "u", "client_id": "c", "azp": "a"}, ("u", "c"), id="a user with a client"),
        pytest.param({"sub": "u", "azp": "a", "cid": "k"}, ("u", "a"), id="azp"),
        pytest.param({"sub": "u", "cid": "k"}, ("u", "k"), id="cid"),
        pytest.param({"client_id": "c"}, ("c", "c"), id="a client alone"),
        pytest.param({"sub": "auth0|5f7c é"}, ("auth0|5f7c é", None), id="printable characters"),
        pytest.param({"sub": "a" * 256}, ("a" * 256, None), id="256 characters"),
        pytest.param({"sub": "a" * 257, "azp": "a"}, ("a", "a"), id="257 characters and a client"),
        pytest.param({"sub": "u", "client_id": "c\n"}, ("u", None), id="a client with a line break"),
    ],
)
def test_the_caller_is_the_user_or_else_the_client(claims: dict[str, Any], named: tuple[str, str | None]) -> None:
    assert actor_of(an_event(claims), "r") == Actor("user", *named, "r")


@pytest.mark.parametrize("sub", ["", "a" * 257, "a\nb", "\x00", "\u202e", None, 7])
def test_a_claim_that_names_nobody_is_no_caller(sub: Any) -> None:
    assert actor_of(an_event({"sub": sub}), "r") is None


def test_another_claim_can_name_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTOR_CLAIM", "https://example.com/user")
    actor = actor_of(an_event({"sub": "u", "https://example.com/user": "alice"}), "")
    assert actor == Actor("user", "alice", None, None)
