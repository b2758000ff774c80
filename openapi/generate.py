"""Write docs/openapi.yaml: `python -m openapi.generate [--check]`."""

import argparse
import importlib
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
import yaml
from msgspec import Struct

from local import template as sam
from openapi import ROOT, answers, examples
from openapi.operations import ANYWHERE, GATEWAY, OPERATIONS, WITH_KEY, WITH_TOKEN, Operation, Success, statuses
from recordings.domain import ids
from recordings.domain.lifecycle import Status
from recordings.http.endpoint import LONGEST_KEY, TAKES, Takes
from recordings.http.schemas import Nothing

type Document = dict[str, Any]

FILE: Final = ROOT / "docs/openapi.yaml"
FIRST_LINE: Final = "# Written by `python -m openapi.generate`; do not edit.\n"
REF: Final = "#/components/schemas/{name}"
JSON, PROBLEM = "application/json", "application/problem+json"
SECURITY: Final = "AccessToken"

INTRODUCTION: Final = """\
Starts, stops, lists, downloads and archives recordings of Cloudflare RealtimeKit rooms.

* JSON in UTF-8. Times are RFC 3339 in UTC, whole seconds, with a `Z`; sizes are bytes, durations whole seconds. An
  unknown value is `null`, not missing. Unknown query parameters and unknown JSON keys are a 400.
* Answers may grow new fields, and there may be new error codes: take no offence at them.
* A caller belongs to one tenant, named by a claim of the access token. What belongs to another tenant does not exist:
  404.
* Success bodies are `{"data": …}`, lists add `"meta"`; the answers to a download alone have no envelope.
* Errors are problem documents (RFC 9457). Decide by `code`, which is stable; show `detail` to people. The gateway in
  front of the API answers in its own words, `{"message": …}`, what it does not let through.
* 502, 503 and 504 leave nothing half done: make the same call again, after `Retry-After` where there is one.
* An `Idempotency-Key` on a POST or DELETE makes a repeat safe: the first answer is kept for 24 hours and given again.
* A recording goes `recording` → `processing` → `ready` → `archived`, or from the first two to `failed`. It never goes
  back, but for a move to cold storage that failed for good, which makes it `ready` again.
"""

TAGS: Final = {
    "Rooms": "What you call a Cloudflare RealtimeKit meeting, and what is recorded.",
    "Recordings": "Their life from start to cold storage.",
    "Cloudflare": "What Cloudflare calls.",
}
SCOPES: Final = {
    "recordings:read": "read rooms and recordings",
    "recordings:write": "everything else",
    "recordings:adopt": "besides `recordings:write`: give a room a meeting that exists already",
}
ROOM_ID: Final = "Your own id of the room."
RECORDING_ID: Final = "The recording's id. It is opaque; one that is malformed is a 404 like any unknown one."

HEADERS: Final[Mapping[str, Document]] = {
    "RequestId": {
        "description": "Names this request in our logs.",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "example": examples.REQUEST_ID,
    },
    "RequestIdOfApi": {
        "description": "Names this request in our logs. The gateway's own answers lack it.",
        "schema": {"type": "string", "minLength": 1},
        "example": examples.REQUEST_ID,
    },
    "Location": {
        "description": "The address of the new recording.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "pattern": "^/api/v1/recordings/rec_"},
        "example": f"/api/v1/recordings/{examples.ID}",
    },
    "RetryAfter": {
        "description": "Seconds after which to make the same call again. The gateway's own answers lack it.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "RetryAfterIfKnown": {
        "description": "Seconds after which to ask again; with the status `processing`.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 10,
    },
}
HEADER_NAMES: Final = {
    "RequestId": "X-Request-Id",
    "RequestIdOfApi": "X-Request-Id",
    "Location": "Location",
    "RetryAfter": "Retry-After",
    "RetryAfterIfKnown": "Retry-After",
}
KEY_PARAMETER: Final[Document] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A word of your own for this request, such as a UUID. A repeat with the same key gives the first"
    " answer for 24 hours; the key with another request is a 422 `idempotency_key_reused`; a repeat while the first"
    " still runs is a 409 `request_in_progress`.",
    # Spaces at the ends are no part of a header's value (RFC 9110, 5.5).
    "schema": {"type": "string", "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "2f1b6c0e-9d0b-4f43-8d0e-6f5f6f6d3b10",
}
SIGNATURE_PARAMETER: Final[Document] = {
    "name": "rtk-signature",
    "in": "header",
    "description": "Cloudflare's RSA signature over the raw body, in base64. Without it the answer is a 401.",
    "schema": {"type": "string"},
}
REFUSALS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: "The request is not valid; `errors` names the fields.",
    HTTPStatus.UNAUTHORIZED: "No access token, or one that is not good here. The gateway's own words.",
    HTTPStatus.FORBIDDEN: "The access token lacks the scope, or names no tenant.",
    HTTPStatus.NOT_FOUND: "There is no such thing, or it belongs to another tenant.",
    HTTPStatus.CONFLICT: "The present state does not allow this.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over 64 KB.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used for another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "The gateway takes no more requests now.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of ours; the request id leads to its cause.",
    HTTPStatus.BAD_GATEWAY: "Cloudflare could not do this. Nothing is half done: make the call again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too much at once. Nothing is half done: make the call again.",
    HTTPStatus.GATEWAY_TIMEOUT: "Cloudflare did not answer in time. Nothing is half done: make the call again.",
}
# The documents that say more than the plain one.
SHAPES: Final[Mapping[str, type[Struct]]] = {
    "invalid_request": answers.InvalidRequest,
    "room_already_recording": answers.RoomAlreadyRecording,
    "room_recording": answers.RoomRecording,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A route of the template and the function behind it."""

    name: str
    method: str
    path: str
    scopes: Sequence[str]
    token: bool
    folder: str
    summary: str
    takes: Takes

    @property
    def operation(self) -> Operation:
        return OPERATIONS[self.name]

    @property
    def codes(self) -> list[str]:
        """Every error code that can be answered, in the order of their statuses."""
        # What takes any query and any body finds nothing wrong with them.
        takes_all = self.takes.query is None and self.takes.body is None
        all_of_them = {
            *ANYWHERE,
            *(WITH_TOKEN if self.token else ()),
            *(WITH_KEY if self.takes.idempotent else ()),
            *self.operation.codes,
        } - ({"invalid_request"} if takes_all else set())
        return sorted(all_of_them, key=lambda code: (statuses()[code], code))

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def gateway(self) -> set[HTTPStatus]:
        """What the gateway can answer by itself."""
        never = set() if self.token else {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        return GATEWAY.keys() - never - (set() if self.path_parameters else {HTTPStatus.NOT_FOUND})


@contextmanager
def _environment(template: Document) -> Iterator[None]:
    """What functions read when they are imported; only names, nothing is called."""
    functions = [body["Properties"] for body in template["Resources"].values() if "Function" in body["Type"]]
    blocks = [template["Globals"]["Function"], *functions]
    names = {name for block in blocks for name in block.get("Environment", {}).get("Variables", {})}
    before = dict(os.environ)
    for name in names:
        os.environ.setdefault(name, "60")
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def served() -> list[Served]:
    """All of the API, in the template's order."""
    template = sam.read(ROOT / "template.yaml")
    found = []
    with _environment(template):
        for route in sam.routes(template):
            folder = template["Resources"][route.function]["Properties"]["CodeUri"]
            app = importlib.import_module(f"{folder.replace('/', '.')}.app")
            method, path = route.key.split(" ")
            first = str(app.__doc__).splitlines()[0].removeprefix(f"{route.key}: ").removesuffix(".")
            found.append(
                Served(
                    name=route.function,
                    method=method.lower(),
                    path=path,
                    scopes=route.scopes,
                    token=route.authorizer is not None,
                    folder=folder,
                    summary=f"{first[0].upper()}{first[1:]}",
                    takes=getattr(app.handler, TAKES),
                )
            )
    return found


# ---------------------------------------------------------------- Schemas


def _tidied(schema: Any) -> Any:
    """A schema as a person would write it: no titles, nullable types as such, statuses in their order."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _tidied(part) for name, part in schema.items() if name != "title" or not isinstance(part, str)}
    if kept.get("default", ...) is None:
        del kept["default"]
    if kept.get("required") == []:
        del kept["required"]
    if "enum" in kept and all(isinstance(value, str) for value in kept["enum"]):
        order = [*map(str, Status)]
        kept["enum"].sort(key=lambda value: order.index(value) if value in order else len(order))
        kept = {"type": "string", **kept}
    match kept.pop("anyOf", None):
        case None:
            return kept
        case [{"type": str() as kind, **rest}, {"type": "null"}] if "enum" not in rest:
            return {**kept, **rest, "type": [kind, "null"]}
        case parts:
            return {**kept, "anyOf": parts}


def _models(api: Sequence[Served]) -> tuple[dict[str, Document], dict[str, Document]]:
    """The schemas of all documents, and the properties of all queries by operation."""
    bodies = [one.takes.body for one in api if one.takes.body not in (None, Nothing)]
    told = [model for one in api for success in one.operation.successes.values() for model in success.models]
    wrong = [answers.Problem, *SHAPES.values(), answers.GatewayMessage]
    queries = [one.takes.query or Nothing for one in api]
    _, schemas = msgspec.json.schema_components(dict.fromkeys([*bodies, *told, *wrong, *queries]), ref_template=REF)
    schemas = {name: _tidied(schema) for name, schema in schemas.items()}
    schemas["Status"]["description"] = (
        "`recording`: being recorded now; `processing`: stopped, the file is being finished, fetched and checked;"
        " `ready`: in our storage and downloadable; `archived`: moved to cold storage; `failed`: there will be no file."
    )
    asked = {one.name: schemas[(one.takes.query or Nothing).__name__] for one in api}
    for model in dict.fromkeys(queries):
        schemas.pop(model.__name__, None)
    return dict(sorted(schemas.items())), asked


def _not_null(schema: Document) -> Document:
    """A query parameter is left out, not null."""
    if isinstance(schema.get("type"), list):
        (kind,) = (kind for kind in schema["type"] if kind != "null")
        return {**schema, "type": kind}
    return schema


# ---------------------------------------------------------------- Operations


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}


def _headers(names: Sequence[str]) -> Document:
    return {HEADER_NAMES[name]: _ref("headers", name) for name in names}


def _parameters(one: Served, asked: Document) -> list[Document]:
    found: list[Document] = []
    if one.path_parameters:
        found.append(_ref("parameters", "RoomId" if "/rooms/" in one.path else "RecordingId"))
    for name, schema in asked["properties"].items():
        schema = _not_null(dict(schema))
        words = schema.pop("description", None)
        parameter: Document = {"name": name, "in": "query"}
        parameter |= {"description": words} if words else {}
        parameter |= {"required": True} if name in asked.get("required", ()) else {}
        parameter |= {"style": "form", "explode": True} if schema.get("type") == "array" else {}
        if schema.get("default") == []:
            del schema["default"]
        found.append(parameter | {"schema": schema})
    if one.takes.idempotent:
        found.append(_ref("parameters", "IdempotencyKey"))
    if not one.token:
        found.append(_ref("parameters", "Signature"))
    return found


def _body(one: Served) -> Document | None:
    model = one.takes.body
    if model is None:
        return {"required": True, "content": {JSON: {"schema": {"type": "object"}}}}
    if model is Nothing:
        return None
    required = any(field.required for field in msgspec.structs.fields(model))
    shown = {name: {"value": value} for name, value in examples.BODIES[one.name].items()}
    return {
        "required": required,
        "content": {JSON: {"schema": _ref("schemas", model.__name__), "examples": shown}},
    }


def _success(success: Success, shown: Mapping[str, Document]) -> Document:
    schemas = [_ref("schemas", model.__name__) for model in success.models]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    made: Document = {
        "description": success.description,
        "headers": _headers(["RequestId", *success.headers]),
        "content": {JSON: {"schema": schema, "examples": {key: {"value": value} for key, value in shown.items()}}},
    }
    if success.links:
        made["links"] = {
            link: {"operationId": operation_id(target), "parameters": dict(parameters)}
            for link, (target, parameters) in success.links.items()
        }
    return made


def _refusal(one: Served, status: HTTPStatus, codes: Sequence[str]) -> Document:
    by_gateway = status in one.gateway
    content: Document = {}
    if codes:
        plain = [code for code in codes if code not in SHAPES]
        schemas = [_ref("schemas", SHAPES[code].__name__) for code in codes if code in SHAPES]
        if plain:
            narrowed = {"code": {"enum": plain}, "status": {"const": int(status)}}
            schemas.append({**_ref("schemas", answers.Problem.__name__), "properties": narrowed})
        content[PROBLEM] = {
            "schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas},
            "examples": {code: _ref("examples", code) for code in codes},
        }
    if by_gateway:
        content[JSON] = {
            "schema": _ref("schemas", answers.GatewayMessage.__name__),
            "examples": {"gateway": _ref("examples", f"gateway_{int(status)}")},
        }
    words = REFUSALS[status]
    if not codes and status is HTTPStatus.NOT_FOUND:
        words = "The gateway knows no such path."
    if "signature_invalid" in codes:
        words = "The body is unsigned, or is not what was signed."
    if {*codes} - {"invalid_request"} and status is HTTPStatus.BAD_REQUEST:
        words += " Or it asks for what the recording does not allow as it is."
    if codes:
        words += f" `code`: {', '.join(f'`{code}`' for code in codes)}."
    if by_gateway and codes:
        words += " Or the gateway's own words."
    made: Document = {"description": words}
    headers = ["RequestIdOfApi" if by_gateway else "RequestId"] if codes else []
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append("RetryAfter")
    if headers:
        made["headers"] = _headers(headers)
    return made | {"content": content}


def operation_id(name: str) -> str:
    """`StartRecording` is `startRecording`."""
    return name[0].lower() + name[1:]


def _refusal_name(status: HTTPStatus, codes: Sequence[str]) -> str:
    """`room_not_found` is `RoomNotFound`; what the gateway alone answers has the status's name."""
    words = "_or_".join(codes) or status.phrase.replace(" ", "_")
    return "".join(word.title() for word in words.split("_"))


def _operation(
    one: Served,
    asked: Document,
    shown: Mapping[HTTPStatus, Mapping[str, Document]],
    refusals: dict[str, Document],
) -> Document:
    """One operation; what it refuses goes to `refusals`, where others share it."""
    made: Document = {
        "operationId": operation_id(one.name),
        "tags": [one.operation.tag],
        "summary": one.summary,
        "description": one.operation.description,
        "security": [{SECURITY: [*one.scopes]}] if one.token else [],
    }
    if parameters := _parameters(one, asked):
        made["parameters"] = parameters
    if body := _body(one):
        made["requestBody"] = body
    responses = {status: _success(success, shown[status]) for status, success in one.operation.successes.items()}
    codes: dict[HTTPStatus, list[str]] = {status: [] for status in one.gateway}
    for code in one.codes:
        codes.setdefault(statuses()[code], []).append(code)
    for status in sorted(codes):
        name, refusal = _refusal_name(status, codes[status]), _refusal(one, status, codes[status])
        if refusals.setdefault(name, refusal) != refusal:
            raise ValueError(f"two refusals are called {name}")
        responses[status] = _ref("responses", name)
    made["responses"] = {str(int(status)): response for status, response in responses.items()}
    return made


def document() -> Document:
    """The whole of it."""
    api = served()
    codes = sorted({code for one in api for code in one.codes})
    schemas, asked = _models(api)
    shown = examples.answered()
    paths: dict[str, Document] = {}
    refusals: dict[str, Document] = {}
    for one in api:
        paths.setdefault(one.path, {})[one.method] = _operation(one, asked[one.name], shown[one.name], refusals)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    parameters: Document = {
        "RoomId": {
            "name": "id",
            "in": "path",
            "required": True,
            "description": ROOM_ID,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": f"^{ids.ROOM_ID.pattern}$"},
            "example": examples.ROOM.id,
        },
        "RecordingId": {
            "name": "id",
            "in": "path",
            "required": True,
            "description": RECORDING_ID,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9_]+$"},
            "example": examples.ID,
        },
        "IdempotencyKey": KEY_PARAMETER,
        "Signature": SIGNATURE_PARAMETER,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Recordings",
            "version": project["version"],
            "summary": "Recordings of Cloudflare RealtimeKit rooms.",
            "description": INTRODUCTION,
        },
        "servers": [
            {
                "url": "https://{host}",
                "description": "`ApiUrl` among the outputs of the deployed stack.",
                "variables": {"host": {"default": "recordings.example.com"}},
            }
        ],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters,
            "headers": HEADERS,
            "responses": dict(sorted(refusals.items())),
            "examples": {
                **{code: {"value": examples.problem(code)} for code in codes},
                **{f"gateway_{int(status)}": {"value": examples.gateway(status)} for status in GATEWAY},
            },
            "securitySchemes": {
                SECURITY: {
                    "type": "openIdConnect",
                    "openIdConnectUrl": "https://issuer.example.com/.well-known/openid-configuration",
                    "description": "A JWT in `Authorization: Bearer …`, of the issuer and for the audience that the API"
                    " was deployed with; it names the tenant in a claim. Its scopes: "
                    + "; ".join(f"`{scope}`: {words}" for scope, words in SCOPES.items())
                    + ".",
                }
            },
        },
    }


# ---------------------------------------------------------------- File


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def written() -> str:
    """The file's text."""
    # Through JSON once: what is a subclass of str becomes a str.
    plain = msgspec.json.decode(msgspec.json.encode(document()))
    return FIRST_LINE + yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main() -> int:
    """Write the file, or only say whether it is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m openapi.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is out of date")
    wanted = written()
    if not parser.parse_args().check:
        FILE.write_text(wanted, "utf-8")
    elif not FILE.exists() or FILE.read_text("utf-8") != wanted:
        print(f"{FILE.relative_to(ROOT)} is out of date: run python -m openapi.generate", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
