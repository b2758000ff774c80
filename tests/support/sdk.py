"""Cloudflare's official SDK as a description of RealtimeKit's API: its calls, and what may be sent and received.

The SDK itself is lenient: it takes any response and leaves wrong types as they are. What is here is strict.
"""

import inspect
import re
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import httpx
from cloudflare import Cloudflare
from cloudflare._resource import SyncAPIResource
from cloudflare._utils import PropertyInfo
from cloudflare.types import realtime_kit
from pydantic import BaseModel
from typing_extensions import is_typeddict

type Json = Any
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
# A JSON value never is this.
ABSENT: Any = object()


def client(origin: str, token: str) -> Cloudflare:
    """The SDK against a server on this machine. It repeats nothing by itself."""
    return Cloudflare(base_url=f"{origin}/client/v4", api_token=token, max_retries=0, timeout=20)


# ---------------------------------------------------------------- what the SDK can call


@dataclass(frozen=True)
class Operation:
    """One method of the SDK: `name` is `resource.method`, `path` has the names of its parameters in braces."""

    name: str
    verb: str
    path: str
    response: type[BaseModel]
    # The TypedDict of query or body; None: there is neither.
    params: Any
    # What the method can be given, and something for each that it must be given.
    arguments: frozenset[str]
    examples: Mapping[str, Json]

    @property
    def in_path(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    def fits(self, verb: str, path: str) -> bool:
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.path)
        return verb == self.verb and re.fullmatch(pattern, path) is not None


@cache
def operations() -> Mapping[str, Operation]:
    """Every method of `realtime_kit`: the SDK is called once for each, and what it would send is looked at."""
    found: dict[str, Operation] = {}
    sent: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"success": True, "data": {}})

    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        kit = Cloudflare(api_token="token", http_client=http, max_retries=0).realtime_kit
        for resource, handle in sorted(_resources(kit)):
            for method in sorted(name for name, one in vars(type(handle)).items() if inspect.isfunction(one)):
                if method.startswith("_"):
                    continue
                call = getattr(handle, method)
                examples = _examples(call)
                call(**examples)
                response = typing.get_type_hints(call)["return"]
                found[f"{resource}.{method}"] = Operation(
                    name=f"{resource}.{method}",
                    verb=sent[-1].method,
                    path=sent[-1].url.path.removeprefix("/client/v4"),
                    response=response,
                    params=getattr(realtime_kit, response.__name__.removesuffix("Response") + "Params", None),
                    arguments=frozenset(inspect.signature(call).parameters),
                    examples=examples,
                )
    return found


def _resources(kit: SyncAPIResource) -> Iterator[tuple[str, SyncAPIResource]]:
    for name in dir(type(kit)):
        if not name.startswith(("_", "with_")) and isinstance(found := getattr(kit, name), SyncAPIResource):
            yield name, found


def _examples(call: Any) -> dict[str, Any]:
    """Something for each required parameter; an id stands for itself, in braces."""
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            given[name] = f"{{{name}}}" if name.endswith("_id") else example(typing.get_type_hints(call)[name])
    return given


def arguments(name: str, /, **given: Any) -> dict[str, Any]:
    """The arguments of a call: those given, as far as the method knows them, and examples for what else is required."""
    operation = operations()[name]
    return {**operation.examples} | {one: value for one, value in given.items() if one in operation.arguments}


# ---------------------------------------------------------------- what fits a type


def misfits(kind: Any, value: Json, at: str = "") -> list[str]:
    """Each place where a JSON value is not what the type says: unknown and missing fields, wrong types."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        # What is no null is nearer to any other member of the union.
        near = [one for one in inner if one is not types.NoneType or value is None]
        return min((misfits(one, value, at) for one in near), key=len)
    if origin is typing.Annotated or origin in (typing.Required, typing.NotRequired):
        return misfits(inner[0], value, at)
    if origin is Literal:
        return [] if value in inner and type(value) in {type(one) for one in inner} else [f"{at}: {value!r}"]
    if origin is dict or origin is Mapping:
        if not isinstance(value, dict):
            return [f"{at}: {value!r} is no object"]
        return [odd for name, one in value.items() for odd in misfits(inner[1], one, f"{at}.{name}")]
    if origin in (list, Sequence, Iterable):
        if not isinstance(value, list):
            return [f"{at}: {value!r} is no list"]
        return [odd for place, one in enumerate(value) for odd in misfits(inner[0], one, f"{at}[{place}]")]
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        required = {name for name, field in fields.items() if field.is_required()}
        return _of_fields(value, {name: field.annotation for name, field in fields.items()}, required, at)
    if is_typeddict(kind):
        return _of_fields(value, *typed_fields(kind), at)
    return [] if _is_a(kind, value) else [f"{at}: {value!r} is no {kind}"]


def typed_fields(kind: Any, without: Collection[str] = ()) -> tuple[dict[str, Any], set[str]]:
    """Type by name as it is sent, and which are required; those `without` are left out."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields, required = {}, set()
    for name, hint in hints.items():
        if name in without:
            continue
        needed = get_origin(hint) is typing.Required
        plain = get_args(hint)[0] if needed or get_origin(hint) is typing.NotRequired else hint
        notes = getattr(plain, "__metadata__", ())
        alias = next((note.alias for note in notes if isinstance(note, PropertyInfo) and note.alias), name)
        fields[alias] = plain
        if needed:
            required.add(alias)
    return fields, required


def _of_fields(value: Json, fields: Mapping[str, Any], required: set[str], at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is no object"]
    return [
        *(f"{at}.{name}: unknown" for name in value.keys() - fields.keys()),
        *(f"{at}.{name}: missing" for name in required - value.keys()),
        *(odd for name in value.keys() & fields.keys() for odd in misfits(fields[name], value[name], f"{at}.{name}")),
    ]


def _is_a(kind: Any, value: Json) -> bool:
    match kind:
        case types.NoneType:
            return value is None
        case _ if kind is object or kind is Any:
            return True
        case _ if kind is datetime:
            return isinstance(value, str) and INSTANT.fullmatch(value) is not None
        case _ if kind is float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _ if kind is int:
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, kind)


# ---------------------------------------------------------------- what is sent


def sent_misfits(operation: Operation, query: Mapping[str, Sequence[str]], body: Json) -> list[str]:
    """Each thing in a request that the SDK's method could not have sent; `body` is ABSENT when there is none."""
    fields, required = (
        typed_fields(operation.params, operation.in_path) if operation.params is not None else ({}, set())
    )
    if operation.verb == "GET":
        if body is not ABSENT:
            return ["a body"]
        return _of_fields({name: _read(fields.get(name), texts) for name, texts in query.items()}, fields, required, "")
    if query:
        return ["a query"]
    return _of_fields({} if body is ABSENT else body, fields, required, "")


def _read(kind: Any, texts: Sequence[str]) -> Json:
    """The JSON value that a query's texts stand for."""
    kind = get_args(kind)[0] if get_origin(kind) is typing.Annotated else kind
    if get_origin(kind) is list:
        return [*texts]
    if len(texts) != 1:
        return [*texts]
    if kind is bool:
        return {"true": True, "false": False}.get(texts[0], texts[0])
    if kind in (int, float):
        try:
            return float(texts[0]) if "." in texts[0] else int(texts[0])
        except ValueError:
            return texts[0]
    return texts[0]


# ---------------------------------------------------------------- what may be received

TIME = "2026-09-01T10:00:00.123Z"
EXAMPLES: Mapping[Any, Json] = {
    str: "text", float: 12.0, int: 7, bool: True, datetime: TIME, object: "anything", Any: "anything",
}  # fmt: skip


def example(kind: Any, *, full: bool = False) -> Json:
    """A value of the type; `full`: with every optional field, else with none."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return example(inner[0], full=full)
    if origin is typing.Annotated or origin in (typing.Required, typing.NotRequired):
        return example(inner[0], full=full)
    if origin is Literal:
        return inner[0]
    if origin is dict or origin is Mapping:
        return {"name": example(inner[1], full=full)} if full else {}
    if origin is not None:
        return [example(inner[0], full=full)]
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        return {
            name: example(field.annotation, full=full) for name, field in fields.items() if full or field.is_required()
        }
    if is_typeddict(kind):
        fields, required = typed_fields(kind)
        return {name: example(hint, full=full) for name, hint in fields.items() if full or name in required}
    return EXAMPLES[kind]


def request_example(name: str, *, full: bool = False) -> dict[str, Json]:
    """Query or body of an operation; `full`: with everything that may be sent."""
    operation = operations()[name]
    fields, required = typed_fields(operation.params, operation.in_path)
    return {field: example(kind, full=full) for field, kind in fields.items() if full or field in required}


def variants(kind: Any, depth: int = 2) -> Iterator[Json]:
    """Values of the type, in each of which one thing is otherwise, and those with all and none of what is optional.

    Of an object below `depth` there are only the whole one and the bare one.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for one in inner:
            yield from variants(one, depth)
    elif origin is Literal:
        yield from inner
    elif origin is list:
        yield []
        for one in variants(inner[0], depth):
            yield [one]
    elif inspect.isclass(kind) and issubclass(kind, BaseModel):
        yield from _objects(kind, depth)
    elif kind is types.NoneType:
        yield None
    elif kind is float:
        # A number of JSON, with and without a fraction.
        yield from (12, 12.0, 0)
    elif kind is datetime:
        yield from (TIME, "2026-09-01T10:00:00Z", "2026-09-01T12:00:00.5+02:00")
    else:
        yield example(kind)


def _objects(kind: type[BaseModel], depth: int) -> Iterator[Json]:
    whole, bare = example(kind, full=True), example(kind)
    yield whole
    yield bare
    if depth == 0:
        return
    for name, field in kind.model_fields.items():
        key = field.alias or name
        for one in variants(field.annotation, depth - 1):
            if one != whole[key] or type(one) is not type(whole[key]):
                yield whole | {key: one}
            if not isinstance(one, dict | list) and not field.is_required():
                yield bare | {key: one}
        if not field.is_required():
            yield {other: value for other, value in whole.items() if other != key}
