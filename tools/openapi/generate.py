"""Write docs/openapi.yaml: `python -m tools.openapi.generate [--check]`."""

import argparse
import importlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import yaml

from recordings.http.endpoint import CONTRACT, Contract
from recordings.http.requests import NoBody, NoQuery, RequestQuery
from recordings.http.responses.base import Document as Model
from recordings.http.responses.problems import InvalidRequest, Problem, RoomAlreadyRecording, RoomRecording
from tools.environment import sample_environment
from tools.local import template as sam
from tools.openapi import ROOT, components, examples, info, schemas
from tools.openapi.components import HEADER_NAMES, REFUSALS
from tools.openapi.operations import ANYWHERE, GATEWAY, OPERATIONS, WITH_KEY, WITH_TOKEN, Operation, Success, statuses

type Document = dict[str, Any]

FILE: Final = ROOT / "docs/openapi.yaml"
FIRST_LINE: Final = "# Written by `python -m tools.openapi.generate`; do not edit.\n"
METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
JSON, PROBLEM = "application/json", "application/problem+json"
# Problem documents with more members than the base.
SHAPES: Final[Mapping[str, type[Model]]] = {
    "invalid_request": InvalidRequest,
    "room_already_recording": RoomAlreadyRecording,
    "room_recording": RoomRecording,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRoute:
    """A route of the template and the function behind it."""

    name: str
    method: str
    path: str
    scopes: Sequence[str]
    token: bool
    folder: str
    summary: str
    contract: Contract

    @property
    def operation(self) -> Operation:
        return OPERATIONS[self.name]

    @property
    def codes(self) -> list[str]:
        """Return every error code of the operation, sorted by status."""
        # An endpoint that takes any query and any body does not check them.
        takes_all = self.contract.query is None and self.contract.body is None
        all_of_them = {
            *ANYWHERE,
            *(WITH_TOKEN if self.token else ()),
            *(WITH_KEY if self.contract.is_idempotent else ()),
            *self.operation.codes,
        } - ({"invalid_request"} if takes_all else set())
        return sorted(all_of_them, key=lambda code: (statuses()[code], code))

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def gateway(self) -> set[HTTPStatus]:
        """Return the statuses that the gateway can send on its own."""
        never = set() if self.token else {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        return GATEWAY.keys() - never - (set() if self.path_parameters else {HTTPStatus.NOT_FOUND})


@contextmanager
def _environment(template: Document) -> Iterator[None]:
    """What functions read when they are imported; only names, nothing is called."""
    functions = [body["Properties"] for body in template["Resources"].values() if "Function" in body["Type"]]
    before = dict(os.environ)
    for function in functions:
        for name, value in sample_environment(template, function).items():
            os.environ.setdefault(name, value)
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def served() -> list[ServedRoute]:
    """Return every route of the API, in the order of the template."""
    template = sam.read(ROOT / "template.yaml")
    found = []
    with _environment(template):
        for route in sam.routes(template):
            folder = template["Resources"][route.function]["Properties"]["CodeUri"]
            app = importlib.import_module(f"{folder.replace('/', '.')}.app")
            method, path = route.key.split(" ")
            first = str(app.__doc__).splitlines()[0].removeprefix(f"{route.key}: ").removesuffix(".")
            found.append(
                ServedRoute(
                    name=route.function,
                    method=method.lower(),
                    path=path,
                    scopes=route.scopes,
                    token=route.authorizer is not None,
                    folder=folder,
                    summary=f"{first[0].upper()}{first[1:]}",
                    contract=getattr(app.handler, CONTRACT),
                )
            )
    return found


# ---------------------------------------------------------------- Schemas


def _models(api: Sequence[ServedRoute], codes: Sequence[str]) -> tuple[dict[str, Document], dict[str, Document]]:
    """Return the schemas of all documents, and the schema of each operation's query."""
    queries: list[type[RequestQuery]] = [one.contract.query or NoQuery for one in api]
    bodies = [one.contract.body for one in api if one.contract.body not in (None, NoBody)]
    successes = [model for one in api for model in one.contract.responses]
    found = schemas.described(
        requests=[*queries, *bodies],
        responses=[*successes, Problem, *SHAPES.values(), schemas.GatewayMessage],
        codes=codes,
    )
    asked = {one.name: found[(one.contract.query or NoQuery).__name__] for one in api}
    for model in dict.fromkeys(queries):
        found.pop(model.__name__, None)
    return found, asked


# ---------------------------------------------------------------- Operations


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}


def _any_of(models: Sequence[type[Model]]) -> Document:
    """Return the schema of one of several documents. Not `oneOf`: with future fields a document may fit two."""
    refs = [_ref("schemas", model.__name__) for model in models]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _headers(names: Sequence[str]) -> Document:
    return {HEADER_NAMES[name]: _ref("headers", name) for name in names}


def _parameters(one: ServedRoute, asked: Document) -> list[Document]:
    found: list[Document] = []
    if one.path_parameters:
        found.append(_ref("parameters", "RoomId" if "/rooms/" in one.path else "RecordingId"))
    for name, schema in asked["properties"].items():
        schema = schemas.not_null(dict(schema))
        words = schema.pop("description", None)
        parameter: Document = {"name": name, "in": "query"}
        parameter |= {"description": words} if words else {}
        parameter |= {"required": True} if name in asked.get("required", ()) else {}
        parameter |= {"style": "form", "explode": True} if schema.get("type") == "array" else {}
        if schema.get("default") == []:
            del schema["default"]
        found.append(parameter | {"schema": schema, "example": examples.PARAMETERS[name]})
    if one.contract.is_idempotent:
        found.append(_ref("parameters", "IdempotencyKey"))
    if not one.token:
        found.append(_ref("parameters", "Signature"))
    return found


def _body(one: ServedRoute) -> Document | None:
    model = one.contract.body
    if model is NoBody:
        return None
    required = model is None or any(field.is_required() for field in model.model_fields.values())
    schema = {"type": "object"} if model is None else _ref("schemas", model.__name__)
    shown = {name: {"value": value} for name, value in examples.BODIES[one.name].items()}
    return {"required": required, "content": {JSON: {"schema": schema, "examples": shown}}}


def _success(one: ServedRoute, success: Success, shown: Mapping[str, Document]) -> Document:
    made: Document = {
        "description": success.description,
        "headers": _headers(["RequestId", *success.headers]),
        "content": {
            JSON: {
                "schema": _any_of(success.models or one.contract.responses),
                "examples": {key: {"value": value} for key, value in shown.items()},
            }
        },
    }
    if success.links:
        made["links"] = {
            link: {"operationId": operation_id(target), "parameters": dict(parameters)}
            for link, (target, parameters) in success.links.items()
        }
    return made


def _refusal(one: ServedRoute, status: HTTPStatus, codes: Sequence[str]) -> Document:
    """Describe an error response, with one media type: generated clients read every response by the first one."""
    by_gateway = status in one.gateway
    models = [SHAPES[code] for code in codes if code in SHAPES]
    # The most specific first: generated clients take the first that fits.
    models += [Problem] if any(code not in SHAPES for code in codes) else []
    models += [schemas.GatewayMessage] if by_gateway else []
    shown = {code: _ref("examples", code) for code in codes}
    shown |= {"gateway": _ref("examples", f"gateway_{int(status)}")} if by_gateway else {}
    content = {PROBLEM if codes else JSON: {"schema": _any_of(models), "examples": shown}}
    words = REFUSALS[status]
    if not codes and status is HTTPStatus.NOT_FOUND:
        words = "The gateway has no such path."
    if "signature_invalid" in codes:
        words = "The body is not signed, or was changed after it was signed."
    if {*codes} - {"invalid_request"} and status is HTTPStatus.BAD_REQUEST:
        words += " Or the recording does not allow the request in its current state."
    if codes:
        words += f" `code`: {', '.join(f'`{code}`' for code in codes)}."
    if by_gateway and codes:
        words += " Or a response of the gateway, as `application/json`."
    made: Document = {"description": words}
    headers = ["RequestIdOfApi" if by_gateway else "RequestId"] if codes else []
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append("RetryAfter")
    if headers:
        made["headers"] = _headers(headers)
    return made | {"content": content} | ({"x-problem-codes": [*codes]} if codes else {})


def operation_id(name: str) -> str:
    """Return `startRecording` for `StartRecording`."""
    return name[0].lower() + name[1:]


def _refusal_name(status: HTTPStatus, codes: Sequence[str]) -> str:
    """Return `RoomNotFound` for `room_not_found`. A response of the gateway alone is named after its status."""
    words = "_or_".join(codes) or status.phrase.replace(" ", "_")
    return "".join(word.title() for word in words.split("_"))


def _operation(
    one: ServedRoute,
    asked: Document,
    shown: Mapping[HTTPStatus, Mapping[str, Document]],
    refusals: dict[str, Document],
) -> Document:
    """Describe an operation. Its error responses are added to `refusals`, which operations share."""
    made: Document = {
        "operationId": operation_id(one.name),
        "tags": [one.operation.tag],
        "summary": one.summary,
        "description": one.operation.description,
        "security": [{info.SECURITY: [*one.scopes, *more]} for more in ((), *one.operation.more_scopes) if one.token],
    }
    if parameters := _parameters(one, asked):
        made["parameters"] = parameters
    if body := _body(one):
        made["requestBody"] = body
    responses = {status: _success(one, success, shown[status]) for status, success in one.operation.successes.items()}
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
    """Return the OpenAPI document."""
    api = served()
    codes = sorted({code for one in api for code in one.codes})
    found, asked = _models(api, codes)
    shown = examples.answered()
    # Paths are in the order of the template, methods in the order of METHODS.
    paths: dict[str, Document] = {one.path: {} for one in api}
    refusals: dict[str, Document] = {}
    for one in sorted(api, key=lambda one: METHODS.index(one.method)):
        paths[one.path][one.method] = _operation(one, asked[one.name], shown[one.name], refusals)
    return {
        "openapi": "3.1.0",
        "info": info.info(),
        "servers": info.SERVERS,
        "tags": [{"name": name, "description": words} for name, words in info.TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": found,
            "parameters": components.parameters(),
            "headers": components.HEADERS,
            "responses": dict(sorted(refusals.items())),
            "examples": {
                **{code: {"value": examples.problem(code)} for code in codes},
                **{f"gateway_{int(status)}": {"value": examples.gateway(status)} for status in GATEWAY},
            },
            "securitySchemes": info.SECURITY_SCHEMES,
        },
    }


# ---------------------------------------------------------------- File


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as block literals, and no references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def written() -> str:
    """Return the text of the file."""
    # Through JSON once, so that a subclass of str becomes a str.
    plain = json.loads(json.dumps(document()))
    return FIRST_LINE + yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main() -> int:
    """Write the file, or only report whether it is current. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.openapi.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    wanted = written()
    if not parser.parse_args().check:
        FILE.write_text(wanted, "utf-8")
    elif not FILE.exists() or FILE.read_text("utf-8") != wanted:
        print(f"{FILE.relative_to(ROOT)} is out of date: run python -m tools.openapi.generate", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
