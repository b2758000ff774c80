from typing import Any

import pytest

from local.emulator import claim_text


@pytest.mark.parametrize(
    ("claim", "delivered"),
    [
        ("acme", "acme"),
        (["acme"], "[acme]"),
        (["a", "b"], "[a b]"),
        (["a b"], "[a b]"),
        ([], "[]"),
        (5, "5"),
        (1612061676, "1612061676"),
        (1.5, "1.5"),
        (True, "true"),
        ({"a": 1}, "map[a:1]"),
        ({"roles": ["admin", "dev"], "a": {}}, "map[a:map[] roles:[admin dev]]"),
        (None, "<nil>"),
    ],
    ids=repr,
)
def test_a_claim_arrives_as_text(claim: Any, delivered: str) -> None:
    assert claim_text(claim) == delivered
