"""The result of an audit as lines for people."""

from collections.abc import Iterator
from typing import Any, Final

type Json = dict[str, Any]

FOUND: Final = ("orphans", "phantoms", "mismatches", "stalled")
DONE: Final = ("removed", "adopted", "reconciled")
SINGULAR: Final = {"orphans": "orphan", "phantoms": "phantom", "mismatches": "mismatch"}


def lines(result: Json, *, repair: bool) -> Iterator[str]:
    """Yield the report of each tenant, then the totals and what is missing."""
    for report in result["reports"]:
        yield from _tenant_lines(report)
    if result["omitted"]:
        yield f"Reports that did not fit: of {number(result['omitted'], 'tenant')}. --tenant shows them."
    yield _totals_line(result)
    if result["unregistered"]:
        yield f"At Cloudflare, in meetings that no room owns: {number(result['unregistered'], 'recording')}"
    for found in result["strays"]:
        yield f"Outside of every tenant's folder: {found['store']} {printable(found['key'])}"
    yield from _incomplete_lines(result)
    if not repair and any(result["totals"][kind] for kind in FOUND):
        yield (
            "Nothing was changed. --repair deletes confirmed orphans, imports Cloudflare's recordings, and reconciles "
            "what is stalled or has another status at Cloudflare."
        )


def number(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count} {singular if count == 1 else plural or f'{singular}s'}"


def printable(text: str) -> str:
    """Escape control characters, because names come from outside and could control the terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _tenant_lines(report: Json) -> Iterator[str]:
    size = f"{number(report['recordings'], 'recording')}, {number(report['files'], 'file')}"
    yield f"{printable(report['tenant_id'])}: {size}"
    for kind in (*FOUND, *DONE):
        for row in report[kind]:
            yield f"  {SINGULAR.get(kind, kind):<10} {printable(_row(kind, row))}"
        if (more := report["counts"][kind] - len(report[kind])) > 0:
            yield f"  {'':<10} … and {number(more, f'more {SINGULAR.get(kind, kind)}', f'more {kind}')}"
    if report["held"]:
        yield "  No file was deleted: the tenant has no recordings. Was the table lost, or restored?"


def _totals_line(result: Json) -> str:
    totals: Json = result["totals"]
    totals_line = ", ".join(number(totals[kind], SINGULAR.get(kind, kind), kind) for kind in (*FOUND, *DONE))
    confirmed = f"; confirmed phantoms: {result['alarming'].get('confirmed_phantoms', 0)}" if totals["phantoms"] else ""
    return f"{number(result['tenants'], 'tenant')}: {totals_line}{confirmed}"


def _incomplete_lines(result: Json) -> Iterator[str]:
    for reason in result["incomplete"]:
        yield f"Incomplete: {printable(reason)}"
    if result["remaining_tenants"]:
        yield f"Incomplete: {number(result['remaining_tenants'], 'tenant')} not audited"


def _row(kind: str, row: Any) -> str:
    match kind:
        case "orphans" | "removed" if row["store"] == "cloudflare":
            return f"cloudflare {row['key']} (room {row['room_id']}, began {row['at']})"
        case "orphans" | "removed":
            what = "unfinished upload" if row["upload_id"] else f"{row['size']} bytes"
            return f"{row['store']} {row['key']} ({what} of {row['at']}, {_confirmation(row)})"
        case "phantoms":
            return f"{row['recording_id']} {row['store']} {row['key']} ({_confirmation(row)})"
        case "mismatches":
            difference = f"{row['recording_id']} {row['kind']}: recorded {row['recorded']}, found {row['found']}"
            return f"{difference} ({_confirmation(row)})" if "since" in row else difference
        case "stalled":
            return f"{row['recording_id']} {row['step']}, since {row['since']}"
        case "adopted":
            return f"cloudflare {row['cloudflare_recording_id']} as {row['recording_id']}"
        case _:
            return str(row)


def _confirmation(row: Json) -> str:
    return f"found since {row['since']}, {'confirmed' if row['confirmed'] else 'not confirmed yet'}"
