"""How the last release, commit a507efa, reads the item of a recording: `_recording` of its adapters/dynamo.py.

The expressions are that module's own. The values of its domain are mappings here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

type Item = Mapping[str, Any]


def facts_read_by_the_last_release(item: Item) -> dict[str, Any]:
    """Return the facts of a recording that the last release reads from an item, in Python's types."""
    file, failure, progress = item.get("file"), item.get("failure"), item.get("progress")
    return {
        "id": item["sk"],
        "tenant_id": item["tenant_id"],
        "room_id": item["room_id"],
        "room_name": item["room_name"],
        "meeting_id": item["meeting_id"],
        "status": item["status"],
        "origin": item["origin"],
        "created_at": _moment(item["created_at"]),
        "started_at": _moment(item["started_at"]),
        "cloudflare_id": item.get("cloudflare_id"),
        "stop_requested_at": _time(item.get("stop_requested_at")),
        "stopped_at": _time(item.get("stopped_at")),
        "duration_seconds": _whole(item.get("duration_seconds")),
        "archived_at": _time(item.get("archived_at")),
        "file": _file(file) if file else None,
        "archive": _archive(item.get("archive")),
        "archive_error": dict(**item["archive_error"]) if item.get("archive_error") else None,
        "archive_attempt": int(item.get("archive_attempt", 0)),
        "deleted_at": _time(item.get("deleted_at")),
        "failure": dict(**failure) if failure else None,
        "partial": item.get("partial", False),
        "stalled": item.get("stalled", False),
        "attempt": int(item["attempt"]),
        "automatic_attempts": int(item.get("automatic_attempts", 1)),
        "held": _held(item["held"]) if item.get("held") else None,
        "recovered_at": _time(item.get("recovered_at")),
        "delivery_key": item.get("delivery_key"),
        "missing_since": _time(item.get("missing_since")),
        "progress": _progress(progress) if progress else None,
        "history": tuple((change["status"], _moment(change["at"]), change["cause"]) for change in item["history"]),
        "version": int(item["version"]),
    }


def _archive(item: Item | None) -> dict[str, Any] | None:
    if item is None:
        return None
    return {
        "state": item["state"],
        "storage_class": item.get("storage_class"),
        "restored_until": _time(item.get("restored_until")),
        "expected_at": _time(item.get("expected_at")),
        "tier": item.get("tier"),
        "days": _whole(item.get("days")),
        "moved_from": item.get("moved_from"),
        "pending_since": _time(item.get("pending_since")),
        "source_kept_until": _time(item.get("source_kept_until")),
    }


def _file(item: Item) -> dict[str, Any]:
    return {**item, "size_bytes": int(item["size_bytes"])}


def _held(item: Item) -> tuple[dict[str, Any], int | None]:
    return _file(item["file"]), _whole(item.get("duration_seconds"))


def _progress(item: Item) -> dict[str, Any]:
    return {
        "step": item["step"],
        "attempt": int(item["attempt"]),
        "bytes_done": _whole(item.get("bytes_done")),
        "bytes_total": _whole(item.get("bytes_total")),
        "next_step_due": _time(item.get("next_step_due")),
        "stuck_after": _time(item.get("stuck_after")),
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)
