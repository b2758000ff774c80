"""The schemas of all documents, generated from the models that the functions parse requests into and return.

What callers send is closed: an unknown field is an error. What the API returns is open, so that a client generated from
today's document accepts tomorrow's responses.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from recordings.http.requests import RequestBody, RequestQuery
from recordings.http.responses.base import Document as Model

type Document = dict[str, Any]
type Mode = Literal["validation", "serialization"]

REF: Final = "#/components/schemas/{model}"


class GatewayMessage(Model):
    """An error of the gateway in front of the API. The request did not reach the API, or the API took too long."""

    message: str


def described(
    *,
    requests: Sequence[type[RequestQuery] | type[RequestBody]],
    responses: Sequence[type[Model]],
    codes: Sequence[str],
) -> dict[str, Document]:
    """Return the components of all models, sorted by name. `codes` are those that a problem can have."""
    modes: dict[type[BaseModel], Mode] = dict.fromkeys(requests, "validation")
    modes |= dict.fromkeys(responses, "serialization")
    _, made = models_json_schema([*modes.items()], ref_template=REF)
    schemas = {name: tidied(schema) for name, schema in made["$defs"].items()}
    schemas["Status"]["description"] = (
        "`recording`: being recorded. `processing`: stopped, the file is being finished, copied and verified."
        " `ready`: in our storage and downloadable. `archived`: moved to cold storage. `failed`: there will be no file."
    )
    # Not `enum`: a strict client would reject the first new code.
    schemas["Problem"]["properties"]["code"]["x-extensible-enum"] = [*codes]
    return dict(sorted(schemas.items()))


def tidied(schema: Any) -> Any:
    """Return a schema as a person would write it: no titles, nullable types as such, constants as `const`."""
    if isinstance(schema, list):
        return [tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    # `type` first.
    names = sorted(schema, key=lambda name: name != "type")
    kept = {name: tidied(schema[name]) for name in names if name != "title" or not isinstance(schema[name], str)}
    if kept.get("default", ...) is None:
        del kept["default"]
    if "enum" in kept and len(kept["enum"]) == 1:
        kept["const"] = kept.pop("enum")[0]
    match kept.pop("anyOf", None):
        case None:
            return kept
        case [{"type": str() as kind, **rest}, {"type": "null"}] if "enum" not in rest:
            return {"type": [kind, "null"], **kept, **rest}
        case parts:
            return {**kept, "anyOf": parts}


def not_null(schema: Document) -> Document:
    """Return the schema of a query parameter, which is omitted, not null."""
    if isinstance(schema.get("type"), list):
        (kind,) = (kind for kind in schema["type"] if kind != "null")
        return {**schema, "type": kind}
    return schema
