"""The schemas of all documents, made of the models that the code reads requests with and the answers are held against.

What is sent to the API is closed: a field that it does not know is an error. What it answers is open, so that a client
made from today's document reads tomorrow's answers.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from recordings.domain.lifecycle import Status

type Document = dict[str, Any]

REF: Final = "#/components/schemas/{name}"


def described(
    *, requests: Sequence[type[Struct]], responses: Sequence[type[Struct]], codes: Sequence[str]
) -> dict[str, Document]:
    """The components of all models, in the order of their names. `codes` are those that a problem can have."""
    _, made = msgspec.json.schema_components(dict.fromkeys([*requests, *responses]), ref_template=REF)
    schemas = {name: tidied(schema) for name, schema in made.items()}
    schemas["Status"]["description"] = (
        "`recording`: being recorded now; `processing`: stopped, the file is being finished, fetched and checked;"
        " `ready`: in our storage and downloadable; `archived`: moved to cold storage; `failed`: there will be no file."
    )
    # Not `enum`: a strict client would refuse the first new code.
    schemas["Problem"]["properties"]["code"]["x-extensible-enum"] = [*codes]
    taken = {model.__name__ for model in requests}
    return {name: schema if name in taken else opened(schema) for name, schema in sorted(schemas.items())}


def opened(schema: Any) -> Any:
    """The schema without the rule that no other field may come."""
    if isinstance(schema, list):
        return [opened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: opened(part) for name, part in schema.items()}
    if kept.get("additionalProperties") is False:
        del kept["additionalProperties"]
    return kept


def tidied(schema: Any) -> Any:
    """A schema as a person would write it: no titles, nullable types as such, statuses in their order."""
    if isinstance(schema, list):
        return [tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: tidied(part) for name, part in schema.items() if name != "title" or not isinstance(part, str)}
    if kept.get("default", ...) is None:
        del kept["default"]
    if kept.get("required") == []:
        del kept["required"]
    if "enum" in kept and all(isinstance(value, str) for value in kept["enum"]):
        values = kept.pop("enum")
        kept = {"type": "string", **kept, **_one_of(values)}
    match kept.pop("anyOf", None):
        case None:
            return kept
        case [{"type": str() as kind, **rest}, {"type": "null"}] if "enum" not in rest:
            return {**kept, **rest, "type": [kind, "null"]}
        case parts:
            return {**kept, "anyOf": parts}


def _one_of(values: list[str]) -> Document:
    """One value is a constant, several are in the order of a recording's life."""
    if len(values) == 1:
        return {"const": values[0]}
    order = [*map(str, Status)]
    return {"enum": sorted(values, key=lambda value: order.index(value) if value in order else len(order))}


def not_null(schema: Document) -> Document:
    """A query parameter is left out, not null."""
    if isinstance(schema.get("type"), list):
        (kind,) = (kind for kind in schema["type"] if kind != "null")
        return {**schema, "type": kind}
    return schema
