"""The event bus that tenants' systems listen to."""

import json
import os
from collections.abc import Collection, Sequence
from itertools import batched
from typing import Any, Final

import boto3
from botocore.config import Config

from recordings.adapters.aws.errors import translated_errors

# What one PutEvents call takes (EventBridge API reference, PutEvents).
AT_A_TIME: Final = 10
SOURCE: Final = "recordings"
DETAIL_TYPE: Final = "recording.status_changed"

_client = boto3.client(
    "events",
    config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
)


def announce(details: Sequence[dict[str, Any]], *, detail_type: str = DETAIL_TYPE) -> Collection[int]:
    """Put one event of this type for each detail on the bus; gives the indexes of those that it refused.

    Raises Throttled or InfrastructureError: then some may be on the bus, and a repeat puts them there once more.
    """
    refused: set[int] = set()
    for some in batched(enumerate(details), AT_A_TIME, strict=False):
        with translated_errors():
            answer = _client.put_events(
                Entries=[
                    {
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail),
                        "EventBusName": os.environ["EVENT_BUS"],
                    }
                    for _, detail in some
                ]
            )
        refused |= {index for (index, _), entry in zip(some, answer["Entries"], strict=True) if "ErrorCode" in entry}
    return refused
