"""Compares what is with what must be, once the faults have stopped and everything is quiet. Knows no network.

Each rule gives sentences about what is wrong; nothing is wrong when there are none.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecording:
    """What Cloudflare recorded; `sha256` None: there is no file."""

    id: str
    meeting_id: str
    sha256: str | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A recording in the table. `sha256`: of the bytes that its download gave; None when it gave none."""

    id: str
    tenant_id: str
    room_id: str
    meeting_id: str
    cloudflare_recording_id: str | None
    status: str
    created_at: str
    deleted: bool = False
    moving: bool = False
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` of a problem document, "" of a success; None when the body is not ours."""

    call: str
    status: int
    code: str | None
    killed: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everything there is when all is quiet. `open`: what is still listed as being worked on."""

    provider_recordings: Sequence[ProviderRecording]
    recordings: Sequence[Held]
    # The tenant and the room that own each meeting.
    owners: Mapping[str, tuple[str, str]]
    # What rows, tallies and lists of the table are not, though its recordings require it.
    list_faults: Sequence[str] = ()
    responses: Mapping[Answer, int] = field(default_factory=dict)
    # The ids that each tenant was ever shown.
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    orphans: Sequence[str] = ()
    phantoms: Sequence[str] = ()
    open: Sequence[str] = ()
    held_rooms: Sequence[str] = ()
    # Told by the clients that saw it: an answer of one tenant with what belongs to another, a file that differs.
    complaints: Sequence[str] = ()


FINAL: Final = frozenset({"ready", "archived", "failed"})
# Problem codes that say that a person is to look; nothing of it may ever be answered.
BUGS: Final = frozenset({"internal_error"})


def everything_is_final(found: Found) -> Iterator[str]:
    for one in found.recordings:
        if one.status not in FINAL or one.moving:
            yield f"{one.id} of {one.tenant_id} is still {'moving' if one.moving else one.status}"
    for name in found.open:
        yield f"{name} is still listed as being worked on"
    for name in found.held_rooms:
        yield f"room {name} is still held"


def each_capture_is_one_recording(found: Found) -> Iterator[str]:
    known = Counter(one.cloudflare_recording_id for one in found.recordings)
    made = {provider_recording.id for provider_recording in found.provider_recordings}
    for provider_recording in found.provider_recordings:
        if known[provider_recording.id] != 1:
            yield f"capture {provider_recording.id} is {known[provider_recording.id]} recordings"
    for one in found.recordings:
        if one.cloudflare_recording_id not in made:
            yield f"{one.id} is of no capture: {one.cloudflare_recording_id}"


def each_recording_is_the_truth(found: Found) -> Iterator[str]:
    made = {provider_recording.id: provider_recording for provider_recording in found.provider_recordings}
    for one in found.recordings:
        provider_recording = made.get(one.cloudflare_recording_id or "")
        if provider_recording is None or one.status not in FINAL:
            # Told by the other rules.
            continue
        if found.owners.get(provider_recording.meeting_id) != (one.tenant_id, one.room_id):
            yield f"{one.id} is in {one.room_id} of {one.tenant_id}, and its meeting is not"
        if provider_recording.sha256 is None:
            if one.status != "failed":
                yield f"{one.id} is {one.status}, and Cloudflare has no file"
        elif one.status == "failed":
            yield f"{one.id} failed, and Cloudflare has its file"
        elif one.size_bytes != provider_recording.size_bytes:
            yield f"{one.id} has {one.size_bytes} bytes, and Cloudflare {provider_recording.size_bytes}"
        elif one.sha256 != provider_recording.sha256:
            yield f"{one.id} ({one.status}) gives other bytes than Cloudflare: {one.sha256}"


def nothing_is_left_over(found: Found) -> Iterator[str]:
    for name in found.orphans:
        yield f"nobody owns {name}"
    for name in found.phantoms:
        yield f"the file is missing of {name}"


def lists_equal_records(found: Found) -> Iterator[str]:
    yield from found.list_faults


def no_answer_is_a_bug(found: Found) -> Iterator[str]:
    for response, times in found.responses.items():
        if response.killed:
            continue
        if response.code is None:
            yield f"{response.call} was answered {response.status} with a body that is not ours, {times} times"
        elif response.code in BUGS or response.status == 500:
            yield f"{response.call} was answered {response.status} {response.code}, {times} times"


def no_tenant_saw_another(found: Found) -> Iterator[str]:
    owner = {one.id: one.tenant_id for one in found.recordings}
    for tenant, ids in found.seen.items():
        for one in sorted(ids):
            if owner.get(one, tenant) != tenant:
                yield f"{tenant} was shown {one} of {owner[one]}"
            elif one not in owner:
                yield f"{tenant} was shown {one}, which does not exist"


def clients_are_content(found: Found) -> Iterator[str]:
    yield from found.complaints


RULES: Final[Sequence[Callable[[Found], Iterator[str]]]] = (
    everything_is_final,
    each_capture_is_one_recording,
    each_recording_is_the_truth,
    nothing_is_left_over,
    lists_equal_records,
    no_answer_is_a_bug,
    no_tenant_saw_another,
    clients_are_content,
)


def verdict(found: Found) -> dict[str, list[str]]:
    """By rule, what is wrong; a rule that holds has an empty list."""
    return {rule.__name__.replace("_", " "): [*rule(found)] for rule in RULES}
