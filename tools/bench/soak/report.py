"""The tables of a run: what struck, what became of it, what callers were told, and the verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.bench.soak.calls import Call
from tools.bench.soak.faults import BY_SERVICE, faults_of
from tools.bench.soak.verdict import Answer

BEGIN: Final = "<!-- written by `make soak WRITE=1`: begin -->"
END: Final = "<!-- written by `make soak WRITE=1`: end -->"
SHOWN: Final = 20


def strikes(
    seen: Mapping[Call, int], struck: Mapping[tuple[Call, str], int], repeated: Mapping[tuple[Call, str], int]
) -> Iterator[str]:
    """Call × fault × outcome, one table for each service. A fault that could have struck and did not is shown."""
    for service in sorted({call.service for call in seen} & BY_SERVICE.keys()):
        calls = sorted(call for call in seen if call.service == service)
        names = list(dict.fromkeys(fault.name for call in calls for fault in faults_of(call)))
        yield ""
        yield f"| {service} | {' | '.join(f'{call.operation} ({seen[call]})' for call in calls)} |"
        yield f"| --- {'| ---: ' * len(calls)}|"
        for name in names:
            cells = [_cell(call, name, struck, repeated) for call in calls]
            yield f"| {name} | {' | '.join(cells)} |"


def _cell(
    call: Call, name: str, struck: Mapping[tuple[Call, str], int], repeated: Mapping[tuple[Call, str], int]
) -> str:
    """How often it struck, and how often the same function then made the call again and came through."""
    if name not in {fault.name for fault in faults_of(call)}:
        return ""
    times = struck.get((call, name), 0)
    return f"{times} / {repeated.get((call, name), 0)}" if times else "–"


def of_the_standin(struck: Mapping[tuple[str, str], int], rounds: Mapping[str, int], seconds: float) -> Iterator[str]:
    """What the stand-in did wrong by itself."""
    yield "| what | fault | struck, or seconds in force |"
    yield "| --- | --- | ---: |"
    names = {"media": "download of Cloudflare's file", "key": "key of the webhooks"}
    for (call, name), times in sorted(struck.items()):
        yield f"| {names.get(call, call)} | {name} | {times} |"
    for name, times in sorted(rounds.items()):
        yield f"| Cloudflare's habits | {name} | {times * seconds:.0f} s |"


def reported(responses: Mapping[Answer, int]) -> Iterator[str]:
    """What callers were answered."""
    calls: dict[str, Counter[str]] = {}
    for response, times in responses.items():
        name = "killed" if response.killed else f"{response.status} {response.code or ''}".strip()
        calls.setdefault(response.call, Counter())[name] += times
    yield "| call | answers |"
    yield "| --- | --- |"
    for call, counts in sorted(calls.items()):
        yield f"| {call} | {', '.join(f'{name}: {times}' for name, times in sorted(counts.items()))} |"


def kills(killed: Mapping[str, int]) -> Iterator[str]:
    """Which functions' workers died."""
    yield f"Workers killed: {sum(killed.values())} ({', '.join(f'{n} {name}' for name, n in sorted(killed.items()))})."


def verdicts(wrong: Mapping[str, Sequence[str]], *, limit: int = SHOWN) -> Iterator[str]:
    """Each rule, and what is wrong."""
    yield "| rule | wrong |"
    yield "| --- | ---: |"
    for rule, sentences in wrong.items():
        yield f"| {rule} | {len(sentences)} |"
    for rule, sentences in wrong.items():
        for sentence in sentences[:limit]:
            yield f"WRONG ({rule}): {sentence}"
        if len(sentences) > limit:
            yield f"WRONG ({rule}): and {len(sentences) - limit} more"


def written(path: Path, block: str) -> None:
    """Put the block between the marks of a document. Raises ValueError when it has none."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the tables")
    path.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}")
