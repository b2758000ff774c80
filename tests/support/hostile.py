"""Requests that callers send to hurt, as Hypothesis draws them: API Gateway's events, and bodies of webhooks."""

import json
from urllib.parse import quote

from hypothesis import strategies as st

CLAIMS = {"scope": "recordings:read recordings:write", "tenant_id": "acme", "sub": "user"}
HEADERS = st.dictionaries(st.sampled_from(["Idempotency-Key", "content-type", "X"]), st.text(max_size=140), max_size=3)
CLAIMED = st.one_of(st.text(max_size=140), st.sampled_from(["acme", "[a b]", ".", "5"]))
NAMES = st.sampled_from(["limit", "offset", "cursor", "room_id", "status", "created_after", "created_before", "x", ""])
TIMES = st.sampled_from(
    [
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999-23:59",
        "9999-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
        "2026-01-06T12:00:60Z",
        "2026-01-06 12:00:00Z",
    ]
)
VALUES = st.one_of(
    st.text(max_size=30),
    TIMES,
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["ready", "cm9vbS8x", "cmVjXzdaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo", "9" * 3999]),
)
QUERIES = st.one_of(
    st.lists(st.tuples(NAMES, VALUES), max_size=4).map(
        lambda pairs: "&".join(f"{name}={quote(value, errors='replace')}" for name, value in pairs)
    ),
    st.text(max_size=40),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
BODIES = st.one_of(
    st.none(),
    st.text(max_size=60),
    JSON.map(json.dumps),
    st.dictionaries(
        st.sampled_from(["name", "cloudflare_meeting_id", "record_on_start", "days", "tier", "max_duration_seconds"]),
        JSON,
        max_size=4,
    ).map(json.dumps),
)
IDS = st.one_of(
    st.sampled_from(["room_1", "rec_01KE9EDY806S2TGZ7Z3QHSBYMG", "rec_7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "..", "a#b", ""]),
    st.text(max_size=140),
)
EVENTS = st.fixed_dictionaries(
    {
        "rawPath": st.text(max_size=40),
        "rawQueryString": QUERIES,
        "headers": st.none() | HEADERS,
        "pathParameters": st.none() | st.fixed_dictionaries({"id": IDS}) | st.just({"other": "x"}),
        # Most are not, and what is refused at once reaches nothing.
        "isBase64Encoded": st.sampled_from([False, False, False, True]),
        "body": BODIES,
        "claims": st.one_of(
            st.just(CLAIMS),
            st.just(CLAIMS),
            st.just(CLAIMS),
            st.fixed_dictionaries({"tenant_id": CLAIMED, "scope": st.sampled_from(["recordings:write", "", "[a b]"])}),
        ),
    }
)
