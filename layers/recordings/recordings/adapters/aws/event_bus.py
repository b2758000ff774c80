"""The event bus, in EventBridge: announces changes and purges to the tenants' systems."""

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any, Final

from botocore.config import Config

from recordings import settings
from recordings.adapters.aws.clients import create_client
from recordings.adapters.aws.errors import translated_errors

# Entries of one call (EventBridge API reference, PutEvents).
MAX_ENTRIES: Final = 10
SOURCE: Final = "recordings"

_client = create_client(
    "events",
    config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
)


class EventBridgeBus:
    """Implements ports.system.EventBus."""

    def __init__(self) -> None:
        self._name = settings.EVENT_BUS().name

    def publish(self, detail_type: str, details: Sequence[Mapping[str, Any]]) -> set[int]:
        refused: set[int] = set()
        for batch in batched(enumerate(details), MAX_ENTRIES, strict=False):
            entries: Any = [
                {
                    "Source": SOURCE,
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail),
                    "EventBusName": self._name,
                }
                for _, detail in batch
            ]
            with translated_errors():
                response = _client.put_events(Entries=entries)
            results = zip(batch, response["Entries"], strict=True)
            refused |= {index for (index, _), result in results if "ErrorCode" in result}
        return refused
