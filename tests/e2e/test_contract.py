"""docs/openapi.yaml against the deployed API: generated requests, walks along its links, and every answer seen here."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator, FormatChecker
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local import stack
from openapi import generate
from tests.e2e.conftest import Client

# A caller's own file of settings must not change what is tested.
CONFIG = schemathesis.Config.from_dict(
    {
        "seed": 1,
        "generation": {"deterministic": True, "database": "none", "max-examples": 12},
        # A method that a route lacks is another route to the gateway: it answers 404 and not 405.
        "phases": {"coverage": {"unexpected-methods": []}, "stateful": {"max-steps": 8}},
    }
)
SCHEMA = schemathesis.openapi.from_path(generate.FILE, config=CONFIG)
# Its caller is Cloudflare, and what it is sent is tested with Cloudflare's stand-in.
CLIENTS = SCHEMA.exclude(path="/webhooks/cloudflare")
FEW = settings(
    deadline=None,
    max_examples=12,
    derandomize=True,
    database=None,
    suppress_health_check=[*HealthCheck],
)


@schemathesis.check
def names_the_request(ctx: CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """Whatever is not the gateway's own answer has an id, the same in a problem document."""
    if (kind := response.headers["content-type"][0]) == "application/json" and response.status_code >= 400:
        return
    (request_id,) = response.headers["x-request-id"]
    assert request_id
    if kind == "application/problem+json":
        problem = response.json()
        assert (problem["request_id"], problem["status"]) == (request_id, response.status_code)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    names_the_request,
]


@pytest.fixture(scope="module")
def headers(running: dict[str, Any]) -> dict[str, str]:
    """A tenant for generated requests alone."""
    return {"Authorization": f"Bearer {stack.token(running, f'contract-{uuid.uuid4().hex[:8]}')}"}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@CLIENTS.parametrize()
@FEW
def test_generated_requests_are_answered_as_documented(
    case: schemathesis.Case, running: dict[str, Any], headers: dict[str, str], session: requests.Session
) -> None:
    case.call_and_validate(
        base_url=running["api_url"], session=session, headers=headers, checks=CHECKS, timeout=60
    )


def test_walks_along_the_links_are_answered_as_documented(
    running: dict[str, Any], headers: dict[str, str], session: requests.Session
) -> None:
    class Walk(CLIENTS.as_state_machine()):  # type: ignore[misc]  # made at runtime
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"base_url": running["api_url"], "session": session, "headers": headers, "timeout": 60}

        def validate_response(self, response: Any, case: schemathesis.Case, **kwargs: Any) -> None:
            case.validate_response(response, checks=CHECKS, headers=headers, transport_kwargs=kwargs)

    Walk.run(settings=settings(FEW, max_examples=8, stateful_step_count=8))
