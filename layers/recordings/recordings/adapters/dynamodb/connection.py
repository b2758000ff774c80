"""The one connection to the table: its client, its time-outs, and the translation of its errors.

pynamodb would make a client of its own from settings. It gets ours instead, which shares a session with the other
services' clients and ends every call by the request's deadline.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Self

from botocore.config import Config
from pynamodb.attributes import AttributeContainer, DiscriminatorAttribute, MapAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, VerboseClientError
from pynamodb.models import Model

from recordings.adapters.aws.clients import create_client
from recordings.adapters.aws.deadline import bounded
from recordings.adapters.aws.errors import translated_errors
from recordings.adapters.dynamodb.settings import TABLE

# Three attempts of 7 s at most. pynamodb's own time-outs of 15 s and 30 s are longer than a request may take.
client: Final = bounded(
    create_client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )
)


def _read_body(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take a response as it is: it has the form that botocore's parser would make of it.

    The parser walks through every attribute, which is half the time of a page or an audit. No item here has binary
    values, which it would decode. botocore emits the event before it parses a response, and adds what a handler puts
    into `customized_response_dict` (botocore.endpoint.Endpoint).
    """
    if response_dict["status_code"] != HTTPStatus.OK:
        return
    try:
        customized_response_dict |= json.loads(response_dict["body"])
    except ValueError:
        # The parser raises its own error for a damaged body.
        return
    response_dict["body"] = b"{}"


for _operation in ("Query", "GetItem", "BatchGetItem"):
    client.meta.events.register(f"before-parse.dynamodb.{_operation}", _read_body)


class Item(Model):
    """Base of every item in the table. `kind` names the item's class; items of the first release have none.

    `keeps_nulls` stores an attribute that is None as NULL, as the first release did for some items, but for those that
    are `omitted`.
    """

    class Meta:
        table_name = TABLE

    keeps_nulls = False
    omitted: frozenset[str] = frozenset()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = DiscriminatorAttribute()

    def _container_serialize(self, null_check: bool = True) -> dict[str, dict[str, Any]]:
        stored = super()._container_serialize(null_check)
        if not self.keeps_nulls:
            return stored
        return {name: value for name, value in _nulls(self).items() if name not in self.omitted} | stored

    @classmethod
    def _instantiate(cls, attribute_values: Mapping[str, dict[str, Any]]) -> Self:
        item = _read(cls, attribute_values)
        stored_class = item.attribute_values.setdefault("kind", cls)
        if stored_class is not cls:
            raise ValueError(f"an item of {stored_class.__name__} was read as {cls.__name__}")
        return item


class NullKeepingMap(MapAttribute[str, Any]):
    """A map that stores what is None as NULL, as the first release did."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)  # type: ignore[no-untyped-call]

    def serialize(self, values: Any, *, null_check: bool = True) -> dict[str, dict[str, Any]]:
        stored: dict[str, dict[str, Any]] = super().serialize(values, null_check=null_check)
        return _nulls(self) | stored

    @classmethod
    def _instantiate(cls, attribute_values: Mapping[str, dict[str, Any]]) -> Self:
        return _read(cls, attribute_values)


def _read[C: AttributeContainer](cls: type[C], stored: Mapping[str, dict[str, Any]]) -> C:
    """Return an instance that has the stored attributes.

    pynamodb's own way sets defaults, which no attribute here has, and goes through the descriptors. It takes twice the
    time, which counts where an audit or a page reads many items.
    """
    instance = cls.__new__(cls)
    instance.attribute_values = {
        name: attribute.deserialize(attribute.get_value(stored[attribute.attr_name]))
        for name, attribute in cls.get_attributes().items()
        if attribute.attr_name in stored and "NULL" not in stored[attribute.attr_name]
    }
    return instance


def _nulls(container: Any) -> dict[str, dict[str, Any]]:
    return {attribute.attr_name: {"NULL": True} for attribute in container.get_attributes().values()}


# Opened on the base class before a subclass is used: a subclass that is used first opens a connection of its own.
table: Final = Item._get_connection()
connection: Final[Connection] = table.connection
# pynamodb has no parameter for a client.
connection._client = client  # type: ignore[assignment]


@contextmanager
def dynamodb_errors(refusals: Collection[str] = ()) -> Iterator[None]:
    """Raise the domain's errors for those of pynamodb and botocore, within the block.

    pynamodb's errors keep neither the HTTP status nor the item whose condition failed; botocore's, which caused them,
    have both.

    Raises:
        Throttled: the table is busy or does not respond; what became of a write is unknown
        InfrastructureError: no permission, no such table, a bug
        Refused: DynamoDB responded with one of `refusals`
    """
    with translated_errors(refusals):
        try:
            yield
        except (PynamoDBException, VerboseClientError) as error:
            cause: BaseException | None = error
            while isinstance(cause, PynamoDBException | VerboseClientError):
                cause = cause.cause if isinstance(cause, PynamoDBException) else cause.__cause__
            if cause is None:
                raise
            raise cause from None


def call(operation: str, arguments: Mapping[str, Any], refusals: Collection[str] = ()) -> Mapping[str, Any]:
    """Send a request as it is and return DynamoDB's response, with the capacity that it consumed.

    Raises:
        Throttled, InfrastructureError, Refused: as `dynamodb_errors`
    """
    with dynamodb_errors(refusals):
        response: Mapping[str, Any] = connection.dispatch(operation, dict(arguments))
    return response
