"""The soak's own parts: it must be able to fail, and its faults must be able to strike."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.bench.soak import report
from tools.bench.soak.calls import Call, call_of
from tools.bench.soak.faults import BY_OPERATION, BY_SERVICE, FLIP, Chooser, faults_of
from tools.bench.soak.load import answer_of
from tools.bench.soak.relay import flipped
from tools.bench.soak.rig import AGE, earlier, times_of
from tools.bench.soak.settings import HABITS, KEY, MEDIA
from tools.bench.soak.verdict import Answer, Found, Held, ProviderRecording, verdict
from tools.local.standin.state import Fault, Settings

FILE = "f" * 64


def held(**facts: Any) -> Held:
    """A recording that is as it must be: of capture_1, ready."""
    made: dict[str, Any] = {
        "id": "rec_1",
        "tenant_id": "a",
        "room_id": "room_1",
        "meeting_id": "meeting_1",
        "cloudflare_recording_id": "capture_1",
        "status": "ready",
        "created_at": "2026-01-06T12:00:00Z",
        "size_bytes": 1000,
        "sha256": FILE,
    }
    return Held(**made | facts)


def provider_recording(**facts: Any) -> ProviderRecording:
    made: dict[str, Any] = {"id": "capture_1", "meeting_id": "meeting_1", "sha256": FILE, "size_bytes": 1000}
    return ProviderRecording(**made | facts)


def good(**facts: Any) -> Found:
    """A run in which everything came true."""
    recordings = [
        held(),
        held(
            id="rec_2",
            cloudflare_recording_id="capture_2",
            status="failed",
            size_bytes=None,
            sha256=None,
        ),
        held(id="rec_3", cloudflare_recording_id="capture_3", status="archived", deleted=True),
    ]
    provider_recordings = [
        provider_recording(),
        provider_recording(id="capture_2", sha256=None, size_bytes=None),
        provider_recording(id="capture_3"),
    ]
    found = Found(
        provider_recordings=provider_recordings,
        recordings=recordings,
        owners={"meeting_1": ("a", "room_1")},
        responses={
            Answer("start", 201, ""): 3,
            Answer("start", 409, "room_already_recording"): 1,
            Answer("start", 503, "throttled"): 2,
            Answer("stop", 500, "killed", killed=True): 1,
        },
        seen={"a": frozenset({"rec_1", "rec_2"}), "b": frozenset()},
    )
    return replace(found, **facts)


def wrong(found: Found) -> list[str]:
    """The rules that do not hold."""
    return [rule for rule, sentences in verdict(found).items() if sentences]


def test_a_good_run_is_a_good_run() -> None:
    assert wrong(good()) == []


def recordings(*changed: Held) -> Callable[[], Found]:
    """Other recordings in place of the first one."""
    return lambda: good(recordings=[*changed, *good().recordings[1:]])


PLANTED: dict[str, tuple[Callable[[], Found], set[str]]] = {
    "a recording that is still processing": (recordings(held(status="processing")), {"everything is final"}),
    "a recording that still records": (recordings(held(status="recording")), {"everything is final"}),
    "a move that never ended": (recordings(held(status="archived", moving=True)), {"everything is final"}),
    "an entry of the open list": (lambda: good(open=["rec_1"]), {"everything is final"}),
    "a room that is still held": (lambda: good(held_rooms=["room_1"]), {"everything is final"}),
    "a capture without a recording": (
        lambda: good(provider_recordings=[*good().provider_recordings, provider_recording(id="capture_4")]),
        {"each capture is one recording"},
    ),
    "a capture that is two recordings": (
        recordings(held(), held(id="rec_4")),
        {"each capture is one recording"},
    ),
    "a recording of nothing": (
        recordings(held(), held(id="rec_4", cloudflare_recording_id="capture_4")),
        {"each capture is one recording"},
    ),
    "a recording in another's room": (
        recordings(held(tenant_id="b")),
        {"each recording is the truth", "no tenant saw another"},
    ),
    "a failed one that has a file": (
        recordings(held(status="failed", size_bytes=None, sha256=None)),
        {"each recording is the truth"},
    ),
    "a ready one without a file at Cloudflare": (
        lambda: good(
            provider_recordings=[provider_recording(sha256=None, size_bytes=None), *good().provider_recordings[1:]]
        ),
        {"each recording is the truth"},
    ),
    "a file of another size": (recordings(held(size_bytes=999)), {"each recording is the truth"}),
    "a file with a wrong bit": (recordings(held(sha256="e" * 64)), {"each recording is the truth"}),
    "a file that cannot be read": (recordings(held(sha256=None)), {"each recording is the truth"}),
    "an orphan": (lambda: good(orphans=["r2 recordings/a/room_1/rec_9/1/recording.mp4"]), {"nothing is left over"}),
    "a phantom": (lambda: good(phantoms=["rec_1 key"]), {"nothing is left over"}),
    "a list that is not what its recordings require": (
        lambda: good(list_faults=["a row is missing"]),
        {"lists equal records"},
    ),
    "a 500": (
        lambda: good(responses={Answer("get", 500, "internal_error"): 1}),
        {"no answer is a bug"},
    ),
    "a 500 under another name": (lambda: good(responses={Answer("get", 500, "x"): 1}), {"no answer is a bug"}),
    "an answer that is not ours": (lambda: good(responses={Answer("get", 504, None): 1}), {"no answer is a bug"}),
    "a recording shown to another tenant": (
        lambda: good(seen={"b": frozenset({"rec_1"})}),
        {"no tenant saw another"},
    ),
    "a recording shown that does not exist": (
        lambda: good(seen={"a": frozenset({"rec_9"})}),
        {"no tenant saw another"},
    ),
    "a complaint": (lambda: good(complaints=["a was let at rec_1 of b"]), {"clients are content"}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name: str) -> None:
    plant, rules = PLANTED[name]
    assert set(wrong(plant())) == rules


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("status", "document", "reported"),
    [
        (200, {"data": {}}, Answer("x", 200, "")),
        (202, {"recording_id": "rec_1"}, Answer("x", 202, "")),
        (404, {"code": "recording_not_found"}, Answer("x", 404, "recording_not_found")),
        (500, {"code": "internal_error"}, Answer("x", 500, "internal_error")),
        (502, {"errorType": "Runtime.ExitError"}, Answer("x", 502, "killed", killed=True)),
        (200, {"errorType": "Sandbox.Timedout"}, Answer("x", 200, None)),
        (503, {"message": "Service Unavailable"}, Answer("x", 503, None)),
        (502, None, Answer("x", 502, None)),
        (200, [], Answer("x", 200, None)),
    ],
)
def test_an_answer_is_ours_or_of_a_killed_function_or_neither(status: int, document: object, reported: Answer) -> None:
    assert answer_of("x", status, document) == reported


# ---------------------------------------------------------------- calls and faults

TARGETED = "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {}\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "body", "call"),
    [
        (TARGETED.format("DynamoDB_20120810.TransactWriteItems"), b"{}", "DynamoDB TransactWriteItems"),
        (TARGETED.format("AWSStepFunctions.StartExecution"), b"{}", "Step Functions StartExecution"),
        (TARGETED.format("AWSEvents.PutEvents"), b"{}", "EventBridge PutEvents"),
        (TARGETED.format("secretsmanager.GetSecretValue"), b"{}", "Secrets Manager GetSecretValue"),
        ("POST / HTTP/1.1\r\n\r\n", b"Action=AssumeRole&Version=2011-06-15", "STS AssumeRole"),
        ("GET /files/a/b.mp4 HTTP/1.1\r\n\r\n", b"", "R2 GetObject"),
        ("HEAD /archive/a/b.mp4 HTTP/1.1\r\n\r\n", b"", "S3 HeadObject"),
        ("POST /files/a?uploads HTTP/1.1\r\n\r\n", b"", "R2 CreateMultipartUpload"),
        ("PUT /files/a?partNumber=1&uploadId=u HTTP/1.1\r\n\r\n", b"", "R2 UploadPart"),
        ("POST /files/a?uploadId=u HTTP/1.1\r\n\r\n", b"", "R2 CompleteMultipartUpload"),
        ("DELETE /files/a?uploadId=u HTTP/1.1\r\n\r\n", b"", "R2 AbortMultipartUpload"),
        ("POST /archive/a?restore HTTP/1.1\r\n\r\n", b"", "S3 RestoreObject"),
        ("GET /archive?list-type=2&prefix=x HTTP/1.1\r\n\r\n", b"", "S3 ListObjectsV2"),
        ("POST /client/v4/accounts/a/realtime/kit/b/recordings HTTP/1.1\r\n\r\n", b"", "Cloudflare start"),
        ("PUT /client/v4/accounts/a/realtime/kit/b/recordings/c HTTP/1.1\r\n\r\n", b"", "Cloudflare stop"),
        ("GET /client/v4/accounts/a/realtime/kit/b/recordings/c HTTP/1.1\r\n\r\n", b"", "Cloudflare get"),
        ("GET /client/v4/accounts/a/realtime/kit/b/recordings?x=1 HTTP/1.1\r\n\r\n", b"", "Cloudflare list"),
        (
            "GET /client/v4/accounts/a/realtime/kit/b/recordings/active-recording/m HTTP/1.1\r\n\r\n",
            b"",
            "Cloudflare active",
        ),
        ("GET /client/v4/accounts/a/realtime/kit/b/sessions/s HTTP/1.1\r\n\r\n", b"", "Cloudflare session"),
        ("PATCH /client/v4/accounts/a/realtime/kit/b/meetings/m HTTP/1.1\r\n\r\n", b"", "Cloudflare set_meeting"),
    ],
)
def test_a_call_is_known_by_its_request(head: str, body: bytes, call: str) -> None:
    assert str(call_of(head, body, r2_bucket="files")) == call


def test_every_fault_of_a_call_strikes_before_one_strikes_twice_more() -> None:
    chooser, call = Chooser(1, severity=1000), Call("DynamoDB", "TransactWriteItems")
    assert chooser.choose(call) is None, "nothing strikes before the storm"
    chooser.on = True
    kinds = {fault.name for fault in faults_of(call)}
    struck = Counter(fault.name for _ in range(3 * len(kinds)) if (fault := chooser.choose(call)))
    assert struck == dict.fromkeys(kinds, 3)
    assert chooser.struck == {(call, name): 3 for name in kinds}
    chooser.on = False
    assert chooser.choose(call) is None
    assert chooser.seen[call] == 3 * len(kinds) + 2


def test_a_call_that_is_not_known_is_let_by() -> None:
    chooser = Chooser(1, severity=1000)
    chooser.on = True
    assert chooser.choose(Call("SQS", "SendMessage")) is None


@pytest.mark.parametrize("service", BY_SERVICE)
def test_every_service_meets_errors_and_broken_connections(service: str) -> None:
    kinds = {fault.kind for fault in BY_SERVICE[service]}
    assert {"answer", "drop", "lost", "hang", "slow"} <= kinds
    names = [fault.name for fault in faults_of(Call(service, "x"))]
    assert len(names) == len(set(names))


def test_a_wrong_bit_is_one_bit() -> None:
    content = bytes(range(256))
    assert sum((a ^ b).bit_count() for a, b in zip(content, flipped(content), strict=True)) == 1
    assert flipped(b"") == b""


@pytest.mark.parametrize("facts", [*MEDIA.values(), *KEY.values()])
def test_the_stand_in_knows_every_fault_that_it_is_asked_for(facts: dict[str, Any]) -> None:
    Fault(on="media", **facts)


@pytest.mark.parametrize("name", HABITS)
def test_the_stand_in_knows_every_habit_that_it_is_asked_for(name: str) -> None:
    assert vars(Settings(**HABITS[name])) != vars(Settings())


# ---------------------------------------------------------------- time, tables


def test_time_passes_wherever_a_time_is_written() -> None:
    row = {"a": "2026-01-06T12:00:00Z", "b": {"c": "2026-01-06T12:00:00.5Z", "n": 3}, "d": "2026", "e": None}
    assert AGE.total_seconds() == 1200
    assert earlier(row) == {
        "a": "2026-01-06T11:40:00Z",
        "b": {"c": "2026-01-06T11:40:00.500000Z", "n": 3},
        "d": "2026",
        "e": None,
    }


def test_time_passes_for_open_recordings_leases_urls_and_suspicions_alone() -> None:
    recording = {"pk": "T#a#REC", "sk": "rec_1", "created_at": "x", "started_at": "x", "stopped_at": "x"}
    assert {"started_at", "stopped_at"} <= times_of(recording, {"rec_1"})
    assert "created_at" not in times_of(recording, {"rec_1"})
    assert times_of(recording, set()) == set()
    assert times_of({"pk": "T#a#ROOM", "sk": "r", "lease_until": "x", "created_at": "x"}, set()) == {"lease_until"}
    assert times_of({"pk": "T#a#URLS", "sk": "rec_1", "ends_at": "x", "expires_at": 1}, set()) == {"ends_at"}
    assert times_of({"pk": "T#a#SUSPECTS", "sk": "d", "at": "x", "name": "n"}, set()) == {"at"}


def test_the_table_shows_what_never_struck_too() -> None:
    call = Call("STS", "AssumeRole")
    first, second = (fault.name for fault in faults_of(call)[:2])
    lines = [*report.strikes({call: 9}, {(call, first): 3}, {(call, first): 2})]
    assert "| STS | AssumeRole (9) |" in lines
    assert f"| {first} | 3 / 2 |" in lines
    assert f"| {second} | – |" in lines
    assert len(lines) == 3 + len(faults_of(call))


def test_a_fault_that_a_call_cannot_meet_has_no_cell() -> None:
    read, head = Call("R2", "GetObject"), Call("R2", "HeadObject")
    lines = [*report.strikes({read: 1, head: 1}, {}, {})]
    assert f"| {FLIP.name} | – |  |" in lines


def test_what_is_wrong_is_printed_with_its_rule() -> None:
    lines = [*report.verdicts({"rule one": [], "rule two": [f"fault {n}" for n in range(25)]}, limit=20)]
    assert "| rule one | 0 |" in lines
    assert "| rule two | 25 |" in lines
    assert "WRONG (rule two): fault 0" in lines
    assert lines[-1] == "WRONG (rule two): and 5 more"


def test_the_tables_take_the_place_of_the_last_ones(tmp_path: Path) -> None:
    document = tmp_path / "soak.md"
    document.write_text(f"Before.\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter.\n")
    report.written(document, "new")
    assert document.read_text() == f"Before.\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nAfter.\n"
    document.write_text("Nothing.\n")
    with pytest.raises(ValueError, match="no place"):
        report.written(document, "new")


def test_the_document_has_a_place_for_the_tables() -> None:
    text = Path("docs/soak.md").read_text()
    assert re.search(f"{re.escape(report.BEGIN)}.*{re.escape(report.END)}", text, re.DOTALL)


def test_what_only_some_calls_meet_is_of_a_service_that_is_known() -> None:
    assert {call.service for call in BY_OPERATION} <= BY_SERVICE.keys()
