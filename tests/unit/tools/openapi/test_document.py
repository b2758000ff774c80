"""docs/openapi.yaml: fresh, valid, complete, and the same as what is deployed."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from recordings.http.problems import detail_of, row_of
from recordings.http.requests import NoBody
from tests.support.template import resources
from tools.openapi import ROOT, examples, generate, operations
from tools.openapi.operations import FRAME, INTERNAL, OPERATIONS, error_classes, statuses

type Document = dict[str, Any]

DOCUMENT: Document = yaml.safe_load(generate.FILE.read_text("utf-8"))


def resolved(part: Document) -> Document:
    """What a reference stands for."""
    while "$ref" in part:
        found: Any = DOCUMENT
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        part = found
    return part


def told_operations() -> Iterator[tuple[str, str, Document]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def responses() -> Iterator[tuple[str, str, Document]]:
    for _, _, operation in told_operations():
        for status, response in operation["responses"].items():
            yield operation["operationId"], status, resolved(response)


def deployed() -> dict[tuple[str, str], tuple[str, list[str] | None]]:
    """Function and scopes by route, as template.yaml says."""
    found = {}
    for name, properties in resources("AWS::Serverless::Function").items():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "HttpApi":
                reported = event["Properties"]
                scopes = reported["Auth"].get("AuthorizationScopes")
                found[reported["Method"], reported["Path"]] = (name, scopes)
    return found


def codes_of(status: str, operation: Document) -> set[str]:
    """The codes that a response is documented to carry."""
    return set(resolved(operation["responses"][status]).get("x-problem-codes", []))


def parts(part: Any) -> Iterator[Document]:
    """Every object of the document that it is made of, references followed (each once)."""
    seen: set[str] = set()
    left = [part]
    while left:
        match left.pop():
            case list() as rows:
                left += rows
            case {"$ref": str() as reference} if reference not in seen:
                seen.add(reference)
                left.append(resolved({"$ref": reference}))
            case dict() as found:
                yield found
                left += found.values()


def validator(schema: Document) -> Draft202012Validator:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": DOCUMENT["components"], **schema}
    return Draft202012Validator(whole, format_checker=FormatChecker())


def test_the_file_is_current() -> None:
    assert generate.FILE.read_text("utf-8") == generate.written(), "run python -m tools.openapi.generate"


def test_the_file_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_routes_and_scopes_are_those_of_the_template() -> None:
    reported = {
        (method, path): (
            operation["operationId"],
            operation["security"][0]["AccessToken"] if operation["security"] else None,
        )
        for method, path, operation in told_operations()
    }
    assert reported == {route: (generate.operation_id(name), scopes) for route, (name, scopes) in deployed().items()}


def test_a_function_checks_the_scope_that_the_template_names() -> None:
    for one in generate.served():
        assert [one.contract.scope] == [*one.scopes] if one.token else one.contract.scope is None, one.name


def test_every_error_code_is_returned_by_an_operation_or_listed_as_internal() -> None:
    reported = {
        code
        for _, _, operation in told_operations()
        for status in operation["responses"]
        for code in codes_of(status, operation)
    }
    assert reported == statuses().keys() - INTERNAL
    assert statuses().keys() >= INTERNAL
    assert {kind.code for kind in error_classes()} | FRAME.keys() == statuses().keys()


def test_a_code_is_documented_under_its_status() -> None:
    for kind in error_classes():
        assert statuses()[kind.code] == row_of(kind).status
        assert detail_of(kind())
    for _, _, operation in told_operations():
        for status in operation["responses"]:
            assert {int(statuses()[code]) for code in codes_of(status, operation)} <= {int(status)}


def test_an_operation_with_an_idempotency_key_documents_the_422() -> None:
    for one in generate.served():
        operation = DOCUMENT["paths"][one.path][one.method]
        names = {resolved(parameter)["name"] for parameter in operation.get("parameters", [])}
        assert ("Idempotency-Key" in names) is one.contract.is_idempotent
        assert ("422" in operation["responses"]) is one.contract.is_idempotent


def test_every_operation_is_described() -> None:
    seen = set()
    for _, _, operation in told_operations():
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])
        assert operation["summary"][0].isupper()
        assert len(operation["description"]) > 40
        for parameter in operation.get("parameters", []):
            assert resolved(parameter).get("description"), (operation["operationId"], parameter)
    assert seen == {generate.operation_id(name) for name in OPERATIONS}


@pytest.mark.parametrize(
    ("operation", "status", "media"),
    [
        pytest.param(operation, status, media, id=f"{operation}-{status}-{name.split('/')[1]}")
        for operation, status, response in responses()
        for name, media in response["content"].items()
    ],
)
def test_every_response_has_examples_that_fit_it(operation: str, status: str, media: Document) -> None:
    assert media["examples"]
    check = validator(media["schema"])
    for example in media["examples"].values():
        check.validate(resolved(example)["value"])


def test_every_body_has_examples_that_fit_it() -> None:
    for _, _, operation in told_operations():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert media["examples"], operation["operationId"]
            for example in media["examples"].values():
                validator(media["schema"]).validate(example["value"])


def test_every_parameter_and_header_has_an_example_that_fits_it() -> None:
    of_operations = [resolved(one) for _, _, operation in told_operations() for one in operation.get("parameters", [])]
    for part in (*of_operations, *DOCUMENT["components"]["headers"].values()):
        assert part["description"]
        validator(part["schema"]).validate(part["example"])


def test_the_schema_of_a_code_names_every_one_and_allows_new_ones() -> None:
    schema = DOCUMENT["components"]["schemas"]["Problem"]
    assert set(schema["properties"]["code"]["x-extensible-enum"]) == statuses().keys() - INTERNAL
    validator(schema).validate({**examples.problem("concurrent_update"), "code": "quota_exceeded"})


# ---------------------------------------------------------------- What clients are generated from


def test_a_request_is_closed() -> None:
    for _, _, operation in told_operations():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            if "$ref" in media["schema"]:  # The body of a webhook is Cloudflare's.
                assert resolved(media["schema"])["additionalProperties"] is False


def test_a_response_is_open_to_new_fields_everywhere() -> None:
    for operation, status, response in responses():
        for media in response["content"].values():
            for part in parts(media["schema"]):
                assert part.get("additionalProperties", True) is not False, (operation, status)
                assert not {"oneOf", "unevaluatedProperties", "maxProperties"} & part.keys(), (operation, status)


def test_a_response_with_future_fields_fits_todays_schema() -> None:
    def grown(value: Any) -> Any:
        match value:
            case dict():
                return {
                    **{name: grown(one) for name, one in value.items()},
                    "new_field": {"of": ["a later", "version"]},
                }
            case list():
                return [grown(one) for one in value]
            case _:
                return value

    for _, _, response in responses():
        for media in response["content"].values():
            check = validator(media["schema"])
            for example in media["examples"].values():
                check.validate(grown(resolved(example)["value"]))


def test_each_status_has_one_media_type() -> None:
    """Generated clients read a response by the first media type of its status, whatever it comes as."""
    for operation, status, response in responses():
        expected = "application/problem+json" if "x-problem-codes" in response else "application/json"
        assert [*response["content"]] == [expected], (operation, status)


def test_a_response_of_the_gateway_fits_where_the_gateway_can_send_it() -> None:
    """One media type holds both: the API's documents first, and the gateway's message last."""
    by_operation = {generate.operation_id(one.name): one for one in generate.served()}
    for operation, status, response in responses():
        (media,) = response["content"].values()
        fits = validator(media["schema"]).is_valid({"message": "Forbidden"})
        assert fits is (HTTPStatus(int(status)) in by_operation[operation].gateway), (operation, status)
        if fits and "anyOf" in media["schema"]:
            assert media["schema"]["anyOf"][-1] == {"$ref": "#/components/schemas/GatewayMessage"}


def test_the_least_specific_problem_is_the_last_choice() -> None:
    for operation, status, response in responses():
        (media,) = response["content"].values()
        names = [one["$ref"].rsplit("/", 1)[1] for one in media["schema"].get("anyOf", [])]
        after = names[names.index("Problem") + 1 :] if "Problem" in names else []
        assert after in ([], ["GatewayMessage"]), (operation, status)


def test_scopes_are_those_of_a_scheme_that_generators_know() -> None:
    scheme = DOCUMENT["components"]["securitySchemes"]["AccessToken"]
    assert scheme["type"] == "oauth2"
    scopes = {
        scope for _, _, operation in told_operations() for one in operation["security"] for scope in one["AccessToken"]
    }
    for flow in scheme["flows"].values():
        assert set(flow["scopes"]) == scopes
        assert scopes == {"recordings:read", "recordings:write", "recordings:adopt", "recordings:audit"}
        assert all(flow[name].startswith("https://issuer.example.com/") for name in flow if name.endswith("Url"))


def test_all_addresses_are_placeholders() -> None:
    """Servers and issuers are placeholders: names that are reserved for documentation (RFC 2606)."""
    (server,) = DOCUMENT["servers"]
    assert server["url"] == "https://{host}"
    assert server["variables"]["host"]["default"].endswith(".example.com")
    assert DOCUMENT["info"]["license"]["name"] == "MIT"
    assert DOCUMENT["info"]["contact"]["name"]


def test_retry_after_location_and_request_id_are_documented_headers() -> None:
    reported = {(operation, status): set(response.get("headers", {})) for operation, status, response in responses()}
    assert "Location" in reported["startRecording", "201"]
    assert "Retry-After" in reported["downloadRecording", "202"]
    for (operation, status), headers in reported.items():
        assert "X-Request-Id" in headers or status in {"401", "404", "429"}, (operation, status)


# ---------------------------------------------------------------- Completeness


def test_every_field_of_a_response_is_required() -> None:
    taken = {"StartRecordingBody", "PutRoomBody", "RestoreRecordingBody"}
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if schema.get("type") == "object" and name not in taken:
            assert schema["required"] == [*schema["properties"]], name


def test_every_response_of_the_api_has_a_request_id() -> None:
    for operation, status, response in responses():
        by_us = "x-problem-codes" in response or int(status) < HTTPStatus.BAD_REQUEST
        assert not by_us or "X-Request-Id" in response["headers"], (operation, status)
        assert int(status) != HTTPStatus.SERVICE_UNAVAILABLE or "Retry-After" in response["headers"], operation


def test_links_lead_to_operations_and_fill_parameters_that_these_have() -> None:
    parameters = {
        operation["operationId"]: {resolved(one)["name"] for one in operation.get("parameters", [])}
        for _, _, operation in told_operations()
    }
    followed = set()
    for operation, _, response in responses():
        for link in response.get("links", {}).values():
            assert link["parameters"].keys() <= parameters[link["operationId"]]
            followed.add((operation, link["operationId"]))
    assert followed >= {
        ("startRecording", "stopRecording"),
        ("startRecording", "getRecording"),
        ("getRecording", "downloadRecording"),
        ("getRecording", "archiveRecording"),
        ("getRecording", "recoverRecording"),
        ("getRecording", "deleteRecording"),
        ("archiveRecording", "restoreRecording"),
        ("listRecordings", "getRecording"),
        ("listRecordings", "listRecordings"),
    }


def test_a_stale_file_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stale = ROOT / "docs" / "openapi.yaml.that.is.not.there"
    monkeypatch.setattr(generate, "FILE", stale)
    monkeypatch.setattr("sys.argv", ["generate", "--check"])

    assert generate.main() == 1

    assert "out of date" in capsys.readouterr().err
    assert not stale.exists()


def test_the_tables_name_the_same_operations() -> None:
    served = {one.name for one in generate.served()}
    assert OPERATIONS.keys() == examples.answered().keys() == served
    bodies = {one.name for one in generate.served() if one.contract.body is not NoBody}
    assert examples.BODIES.keys() == bodies


def test_a_handler_returns_the_documents_of_its_operation() -> None:
    for one in generate.served():
        named = [model for success in one.operation.successes.values() for model in success.models]
        assert one.contract.responses, one.name
        assert not named or {*named} == {*one.contract.responses}, one.name
    assert operations.GATEWAY.keys() >= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
