"""The filters of the stack's event source mappings, and a stack without them.

A filter spares calls; it is no permission. With the filters ignored each function sees every record of the table, and
proves by itself what it may act on.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.local import stack

NO_FILTERS: dict[str, Any] = {"Filters": []}


def ignore_filters(running: dict[str, Any]) -> None:
    """Pass every record to the functions until `restore_filters`."""
    kept = stack.folder(running["name"]) / "filters.json"
    client = stack.client(running, "lambda")
    found = client.list_event_source_mappings()["EventSourceMappings"]
    criteria = {one["UUID"]: one["FilterCriteria"] for one in found if (one.get("FilterCriteria") or {}).get("Filters")}
    if not criteria:
        return
    kept.write_text(json.dumps(criteria))
    for mapping in criteria:
        client.update_event_source_mapping(UUID=mapping, FilterCriteria=NO_FILTERS)


def restore_filters(running: dict[str, Any]) -> None:
    """Restore the filters of the template."""
    kept = stack.folder(running["name"]) / "filters.json"
    if not kept.exists():
        return
    client = stack.client(running, "lambda")
    for mapping, criteria in json.loads(kept.read_text()).items():
        client.update_event_source_mapping(UUID=mapping, FilterCriteria=criteria)
    kept.unlink()


@contextmanager
def unfiltered(running: dict[str, Any]) -> Iterator[None]:
    """Ignore the filters in the block."""
    ignore_filters(running)
    try:
        yield
    finally:
        restore_filters(running)
