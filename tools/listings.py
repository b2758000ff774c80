"""Counts what lists are read from again, from the recordings themselves, and without the code that writes it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

# An item of the table, its numbers as Python's.
type Plain = Mapping[str, Any]
# What an item must have, by its kind and the rest of its key.
type Lists = dict[tuple[str, ...], dict[str, Any]]

LETTERS: Final = {"recording": "r", "processing": "p", "ready": "d", "archived": "a", "failed": "f"}
# States of the layout, with what they maintain.
MAINTAINED: Final = {
    None: {"days"},
    "days": {"days"},
    "both": {"days", "rows"},
    "rows_with_days": {"days", "rows"},
    "rows": {"rows"},
}


def faults_of_lists(table: Iterable[Plain]) -> Iterator[str]:
    """Yield a sentence for each item of a list that is not what the recordings in the table require.

    `table` has all items. Only what the state of the layout maintains is compared.
    """
    items = [*table]
    state = next((item["state"] for item in items if item["pk"] == "LAYOUT"), None)
    live = [item for item in items if re.fullmatch(r"T#[^#]*#REC", item["pk"])]
    for maintained in sorted(MAINTAINED[state]):
        required, found = (
            (_days(live), _found_days(items)) if maintained == "days" else (_rows(live), _found_rows(items))
        )
        for key in sorted({*required, *found}):
            if required.get(key) != found.get(key):
                yield f"{key} is {found.get(key)}, and its recordings require {required.get(key)}"


def _rows(live: Iterable[Plain]) -> Lists:
    """Return the rows and counters of the present layout."""
    lists: Lists = {}
    counters: dict[tuple[str, ...], Counter[str]] = {}
    for item in live:
        tenant, room, status = item["tenant_id"], item["room_id"], item["status"]
        measures = _without_none({"seconds": item.get("duration_seconds"), "bytes": _bytes(item)})
        lists["row", tenant, status, item["sk"]] = {"room": room, **measures}
        lists["room row", tenant, status, room, item["sk"]] = measures
        year, month, day, hour, minute = re.findall(r"\d+", item["created_at"])[:5]
        quarter, letter = f"{int(hour) * 4 + int(minute) // 15:02}", LETTERS[status]
        for key, counter in (
            (("YEARS", tenant, "", year), month),
            (("YEARS", tenant, room, year), month),
            (("MONTHS", tenant, "", f"{year}-{month}"), day),
            (("MONTHS", tenant, room, f"{year}-{month}"), day),
            (("DAYS", tenant, "", f"{year}-{month}-{day}"), quarter),
            (("DAYS", tenant, room, f"{year}-{month}-{day}"), quarter),
        ):
            counters.setdefault(key, Counter())[counter + letter] += 1
            if key[0] == "DAYS":
                counters[key].update(measures)
    return lists | _without_zeros(counters)


def _found_rows(items: Iterable[Plain]) -> Lists:
    lists: Lists = {}
    counters: dict[tuple[str, ...], Counter[str]] = {}
    for item in items:
        rest = {name: value for name, value in item.items() if name not in {"pk", "sk", "kind"}}
        match item["pk"].split("#"):
            case ["T", tenant, "ROWS", status]:
                lists["row", unquote(tenant), status, item["sk"]] = rest
            case ["T", tenant, "ROWS", status, room]:
                lists["room row", unquote(tenant), status, room, item["sk"]] = rest
            case ["T", tenant, "YEARS" | "MONTHS" | "DAYS" as level, *room]:
                bucket, _, part = item["sk"].partition("#")
                key = level, unquote(tenant), "".join(room), bucket
                if not re.fullmatch(r"[0-5]\d|6[0-3]", part) or (room and part != "00"):
                    lists[*key, part] = rest
                counters.setdefault(key, Counter()).update(rest)
    return lists | _without_zeros(counters)


def _days(live: Iterable[Plain]) -> Lists:
    """Return the day tallies and room lists of the earlier layout."""
    lists: Lists = {}
    counters: dict[tuple[str, ...], Counter[str]] = {}
    for item in live:
        tenant, room = item["tenant_id"], item["room_id"]
        lists["LIST", tenant, room, item["sk"]] = {}
        counts = {"total": 1, f"status_{item['status']}": 1}
        counts |= {"seconds": item.get("duration_seconds") or 0, "bytes": _bytes(item) or 0}
        for scope in ("", room):
            counters.setdefault(("DAY", tenant, scope, item["created_at"][:10]), Counter()).update(counts)
    return lists | _without_zeros(counters)


def _found_days(items: Iterable[Plain]) -> Lists:
    lists: Lists = {}
    counters: dict[tuple[str, ...], Counter[str]] = {}
    for item in items:
        match item["pk"].split("#"):
            case ["T", tenant, "LIST", room]:
                lists["LIST", unquote(tenant), room, item["sk"]] = {}
            case ["T", tenant, "DAY", *room]:
                counts = {name: value for name, value in item.items() if name not in {"pk", "sk", "kind"}}
                counters["DAY", unquote(tenant), "".join(room), item["sk"]] = Counter(counts)
    return lists | _without_zeros(counters)


def _bytes(item: Plain) -> Any:
    return item["file"]["size_bytes"] if item.get("file") else None


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _without_zeros(counters: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Lists:
    """Return counters that are not zero, and only items that have one."""
    plain = {key: {name: int(value) for name, value in counts.items() if value} for key, counts in counters.items()}
    return {key: counts for key, counts in plain.items() if counts}
