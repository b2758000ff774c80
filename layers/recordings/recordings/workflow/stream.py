"""Events of the table's stream, and partial failures of a batch.

The output names the records that failed. Lambda sends the stream again from the first of them (Lambda Developer Guide,
"Configuring partial batch response with DynamoDB"), so records after it may be handled twice.

Powertools has a utility for this. Once pydantic is loaded, its import adds a model of every event that Lambda can
receive, a quarter of a cold start, and it stops a batch at the first failure for queues only.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from recordings.domain.errors import InvalidTaskInput
from recordings.observability import count, identify_during, logger
from recordings.workflow.messages.base import TaskInput, TaskOutput

# An item as DynamoDB writes it: each attribute with its type.
type Image = Mapping[str, Any]

# Who deletes an item whose time to live has passed (DynamoDB Developer Guide, "DynamoDB Streams and TTL").
TIME_TO_LIVE: Final = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


class StreamRecord(BaseModel):
    """One write to the table. The images are the item before and after it, None where there was no such item."""

    # An error must not show the images: an item may hold a task token.
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True, hide_input_in_errors=True)

    event_name: Annotated[str, Field(validation_alias="eventName")]
    sequence_number: Annotated[str, Field(validation_alias=AliasPath("dynamodb", "SequenceNumber"))]
    old_image: Annotated[dict[str, Any] | None, Field(validation_alias=AliasPath("dynamodb", "OldImage"))] = None
    new_image: Annotated[dict[str, Any] | None, Field(validation_alias=AliasPath("dynamodb", "NewImage"))] = None
    user_identity: Annotated[dict[str, Any] | None, Field(validation_alias="userIdentity")] = None

    @property
    def removed_image(self) -> Image | None:
        """The item that this write removed, or None if it removed nothing."""
        return self.old_image if self.event_name == "REMOVE" else None

    @property
    def is_by_time_to_live(self) -> bool:
        """Whether DynamoDB itself removed the item at the end of its time to live."""
        return self.user_identity == TIME_TO_LIVE


class StreamEvent(TaskInput):
    """A batch of records in the order of their writes."""

    raw_records: Annotated[list[dict[str, Any]], Field(validation_alias="Records")]

    @property
    def records(self) -> list[StreamRecord]:
        """The records, parsed."""
        return [StreamRecord.model_validate(record) for record in self.raw_records]


class StreamOutput(TaskOutput):
    """The sequence numbers of the records that failed."""

    batch_item_failures: Annotated[list[dict[str, str]], Field(alias="batchItemFailures")]


def handle_records(
    event: StreamEvent,
    handle: Callable[[StreamRecord], None],
    *,
    failure: str,
    metric: str,
    in_order: bool = False,
    ids: Callable[[StreamRecord], Mapping[str, str | None]] = lambda record: {},
) -> StreamOutput:
    """Handle each record, and return those that failed.

    Each failure is logged as `failure` and counted in `metric`. `ids` returns the ids that a record's log lines show.
    `in_order` stops at the first record that fails: it and all later ones are in the output, so that Lambda sends them
    again and no record overtakes another.
    """

    def handle_one(record: dict[str, Any]) -> bool:
        write, known_ids = _parsed(record), dict[str, str | None]()
        if write is not None:
            try:
                known_ids |= ids(write)
            except Exception:
                # `handle` meets the same fault, which is then logged.
                pass
        with identify_during(**known_ids):
            try:
                if write is None:
                    raise InvalidTaskInput("the record is not one of a DynamoDB stream")
                handle(write)
            except Exception:
                logger.exception(failure)
                count(metric)
                return False
        return True

    failures: list[dict[str, str]] = []
    for record in event.raw_records:
        if (in_order and failures) or not handle_one(record):
            failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
    # A batch in which every record failed is returned as well: after an error Lambda would split the batch.
    return StreamOutput.model_validate({"batchItemFailures": failures})


def _parsed(record: dict[str, Any]) -> StreamRecord | None:
    try:
        return StreamRecord.model_validate(record)
    except ValidationError:
        return None
