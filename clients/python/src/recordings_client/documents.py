"""Reading of JSON documents into the generated models. No model is defined here.

The API's responses are open: unknown fields are ignored, and unknown values of a list of values are read.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, Self, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

# Reads the value of a field. The first argument is the field's name, for the error.
_Reader: TypeAlias = Callable[[str, object], Any]


class MalformedDocument(ValueError):
    """The document is not what the OpenAPI description defines."""


class Document:
    """Base of the generated models. Their type annotations define how a document is read."""

    __slots__ = ()

    @classmethod
    def of(cls, given: object) -> Self:
        """Read a decoded JSON object. Times are converted to UTC; a missing boolean is False.

        Raises:
            MalformedDocument: a required field is missing, or a value has another type
        """
        if not isinstance(given, Mapping):
            raise MalformedDocument("an object was expected")
        readers = _readers(cls)  # type: ignore[arg-type]  # every class is hashable
        return cls(**{name: read(name, given.get(name)) for name, read in readers.items()})


class OpenEnum(StrEnum):
    """Base of the generated enumerations. A value that a newer API added is read too; then `is_known` is False."""

    @classmethod
    def _missing_(cls, value: object) -> "Self | None":
        if not isinstance(value, str):
            return None
        # An instance of the class with this text, but no member: iteration does not return it, and it equals no member.
        unknown = str.__new__(cls, value)
        unknown._name_, unknown._value_ = "UNKNOWN", value
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether the API had this value when this version of the package was made."""
        return self._name_ in type(self).__members__


class PresignedUrl(str):
    """A URL that gives access to whoever has it. Its `repr`, which logs and tracebacks show, is without it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<presigned URL>"


def rows(given: object, read: Callable[[object], T]) -> tuple[T, ...]:
    """Read every element of a JSON array.

    Raises:
        MalformedDocument: it is no array, or `read` raises it for an element
    """
    if not isinstance(given, list):
        raise MalformedDocument("an array was expected")
    return tuple(read(element) for element in given)


@cache
def _readers(model: type[Document]) -> Mapping[str, _Reader]:
    return {name: _reader(hint) for name, hint in get_type_hints(model).items()}


def _reader(hint: Any) -> _Reader:
    arguments = get_args(hint)
    if NoneType in arguments:
        read_value = _reader(next(argument for argument in arguments if argument is not NoneType))
        return lambda name, value: None if value is None else read_value(name, value)
    if get_origin(hint) is Sequence:
        read_element = _reader(arguments[0])
        return lambda name, value: rows(value, lambda element: read_element(name, element))
    if hint is bool:
        return lambda _, value: value is True
    if hint is int:
        return _integer
    if hint is datetime:
        return _time
    if issubclass(hint, Document):
        return lambda _, value: hint.of(value)
    if issubclass(hint, str):
        return lambda name, value: hint(_text(name, value))
    raise TypeError(f"no reader for {hint!r}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise MalformedDocument(f"{name} is missing or of another type")
    return value


def _integer(name: str, value: object) -> int:
    # True is an int in Python, but not in JSON.
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedDocument(f"{name} is missing or of another type")
    return value


def _time(name: str, value: object) -> datetime:
    try:
        at = datetime.fromisoformat(_text(name, value))
    except ValueError:
        # MalformedDocument of _text is a ValueError as well, and says the same.
        raise MalformedDocument(f"{name} is not a time") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
