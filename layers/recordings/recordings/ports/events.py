"""The event bus that announces changes to the tenants' systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class EventBus(Protocol):
    """The bus on which a tenant's systems receive events."""

    def publish(self, detail_type: str, details: Sequence[Mapping[str, Any]]) -> set[int]:
        """Publish one event for each detail, and return the indexes of those that the bus refused.

        Raises:
            Throttled: the bus is busy or does not respond; some events may be on it, and a repeat publishes them again
            InfrastructureError: the bus denies the call
        """
