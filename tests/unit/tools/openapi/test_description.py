"""What the API is held against in the tests is stricter than what clients are promised."""

from jsonschema import Draft202012Validator

from tests.support.description import as_sent, published
from tools.openapi import examples


def test_the_strict_document_allows_no_undocumented_field() -> None:
    problem = {**examples.problem("room_not_found"), "new_field": 1}
    for document, fits in ((published(), True), (as_sent(), False)):
        schema = {"components": document["components"], "$ref": "#/components/schemas/Problem"}
        assert Draft202012Validator(schema).is_valid(problem) is fits


def test_a_response_of_the_gateway_has_its_own_media_type() -> None:
    content = as_sent()["components"]["responses"]["RoomNotFound"]["content"]
    assert {name: media["schema"]["$ref"].rsplit("/", 1)[1] for name, media in content.items()} == {
        "application/problem+json": "Problem",
        "application/json": "GatewayMessage",
    }
