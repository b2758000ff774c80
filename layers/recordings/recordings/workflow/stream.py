"""Partial failures of a batch of the table's stream, by Powertools' BatchProcessor.

The answer names the records that failed. Lambda sends the stream again from the first of them on (Lambda Developer
Guide, "Configuring partial batch response with DynamoDB"), so whatever came after it may be handled twice.
"""

from collections.abc import Callable
from typing import Any, Final

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from recordings.observability import count, identify_during, logger
from recordings.workflow.messages.base import Payload


class Skipped(Exception):
    """A record before this one failed."""


SKIPPED: Final = (Skipped, Skipped("a record before this one failed"), None)


class InOrder(BatchProcessor):
    """Handles the records up to the first that fails; it and all after it come again, so nothing overtakes it.

    Powertools has this for queues alone (SqsFifoPartialProcessor).
    """

    def _process_record(self, record: dict[str, Any]) -> Any:
        if self.fail_messages:
            return self.failure_handler(record=DynamoDBRecord(record), exception=SKIPPED)
        return super()._process_record(record)


def handle_records(
    payload: Payload,
    handle: Callable[[Payload], None],
    *,
    failure: str,
    metric: str,
    in_order: bool = False,
    ids: Callable[[Payload], dict[str, str | None]] = lambda record: {},
) -> Payload:
    """Handle each record, and give the answer that names those that failed.

    A failure is a line `failure` and one more in `metric`. `ids`: what the lines about a record name.
    """
    # A batch of which nothing succeeded is answered like any other: an error would have Lambda cut it in two.
    processor = (InOrder if in_order else BatchProcessor)(
        event_type=EventType.DynamoDBStreams, raise_on_entire_batch_failure=False
    )

    def record_handler(record: DynamoDBRecord) -> None:
        try:
            named = ids(record.raw_event)
        except Exception:
            # `handle` meets the same fault, and that is logged.
            named = {}
        with identify_during(**named):
            try:
                handle(record.raw_event)
            except Exception:
                logger.exception(failure)
                count(metric)
                raise

    answer = process_partial_response(event=payload, record_handler=record_handler, processor=processor)
    return {**answer}
