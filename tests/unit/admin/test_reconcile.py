"""The command `recordings-admin reconcile` before a function that answers as told."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from admin import Refused
from admin.__main__ import main, parser, place
from admin.reconcile import DONE, FAILED, FOUND, NOTHING_FOUND, SOMETHING_FOUND, exit_code, lines, reconcile
from recordings.services.audit import report as audit_report
from recordings.services.audit.report import Adopted, Confirmation, Mismatch, Orphan, Phantom, Report, Stalled
from tests.support.builders import NOON
from tests.support.template import ROOT
from tools.local import stack_file

type Json = dict[str, Any]


def an_answer(*reports: Report, **facts: Any) -> Json:
    totals = {kind: sum(report.counts[kind] for report in reports) for kind in audit_report.KINDS}
    told: Json = {
        "began": "2026-01-06T12:00:00+00:00",
        "tenants": len(reports),
        "totals": totals,
        "alarming": {},
        "incomplete": [],
        "left": 0,
        "goes_on": None,
        "moved": bool(reports),
        "unregistered": 0,
        "strays": [],
        "known": True,
        "reports": [report.document(2) for report in reports],
        "omitted": 0,
    }
    return json.loads(json.dumps(told | facts))  # type: ignore[no-any-return]


class Stack:
    """CloudFormation and Lambda of one stack, whose function gives these answers one after the other."""

    def __init__(self, *answers: Json) -> None:
        self.answers, self.asked = list(answers), list[Json]()

    def __call__(self, service: str) -> Any:
        return self

    def describe_stack_resource(self, *, StackName: str, LogicalResourceId: str) -> Json:
        assert LogicalResourceId == "AuditStorageAliaslive"
        if StackName != "here":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "no stack"}}, "DescribeStackResource")
        return {"StackResourceDetail": {"PhysicalResourceId": "function"}}

    def invoke(self, *, FunctionName: str, Payload: str) -> Json:
        assert FunctionName == "function"
        self.asked.append(json.loads(Payload))
        answer = self.answers.pop(0)
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}


def run(stack: Stack, name: str = "here", **asked: Any) -> Json:
    return reconcile(stack, name, **({"tenant": None, "repair": False, "min_age_hours": None} | asked))


def test_the_kinds_are_those_of_the_report() -> None:
    assert (FOUND, DONE) == (audit_report.FOUND, audit_report.DONE)


def test_what_was_asked_for_is_handed_on() -> None:
    stack = Stack(an_answer(), an_answer())
    run(stack, tenant="acme", repair=True, min_age_hours=0)
    run(stack)
    assert stack.asked == [
        {"tenant": "acme", "repair": True, "min_age_hours": 0},
        {"tenant": None, "repair": False},
    ]


def test_runs_go_on_until_no_tenant_is_left() -> None:
    orphan = Orphan(store="r2", key="k", size=1, at=NOON)
    first = an_answer(Report("a", orphans=[orphan]), left=2, alarming={"confirmed_phantoms": 1}, incomplete=["x"])
    second = an_answer(Report("b", orphans=[orphan]), left=1, began="later", incomplete=["x", "y"], omitted=3)
    third = an_answer(Report("c"), alarming={"confirmed_phantoms": 2}, unregistered=7)
    stack = Stack(first, second, third)
    found = run(stack)
    assert [asked.get("unless_since") for asked in stack.asked] == [None, first["began"], first["began"]]
    assert [report["tenant_id"] for report in found["reports"]] == ["a", "b", "c"]
    assert (found["tenants"], found["left"], found["omitted"], found["unregistered"]) == (3, 0, 3, 7)
    assert (found["totals"]["orphans"], found["incomplete"]) == (2, ["x", "y"])
    assert found["alarming"] == {"confirmed_phantoms": 3}


def test_a_tenant_that_is_told_in_parts_has_one_report() -> None:
    on = {"tenant_id": "a", "after": "room_1/"}
    orphans = [Orphan(store="r2", key=key, size=1, at=NOON) for key in "kl"]
    first = an_answer(Report("a", recordings=2, files=3, orphans=orphans[:1]), left=1, goes_on=on, tenants=0)
    second = an_answer(Report("a", recordings=5, files=7, orphans=orphans[1:], held=True))
    stack = Stack(first, second)
    found = run(stack, tenant="a")
    assert [asked.get("goes_on") for asked in stack.asked] == [None, on]
    (report,) = found["reports"]
    assert (report["recordings"], report["files"], report["held"]) == (7, 10, True)
    assert ([row["key"] for row in report["orphans"]], report["counts"]["orphans"]) == (["k", "l"], 2)
    assert (found["tenants"], found["left"], found["totals"]["orphans"]) == (1, 0, 2)


def test_runs_that_reach_nobody_end() -> None:
    stack = Stack(an_answer(Report("a"), left=2), an_answer(left=2))
    assert run(stack)["left"] == 2
    assert len(stack.asked) == 2


@pytest.mark.parametrize("answer", [{"errorMessage": "Task timed out", "errorType": "x"}, {"what": "is this"}])
def test_a_run_that_fails_is_told(answer: Json) -> None:
    with pytest.raises(Refused, match=r"the audit failed: .*(Task timed out|is this)"):
        run(Stack(answer))


def test_an_unknown_tenant_and_an_unknown_stack_are_told() -> None:
    with pytest.raises(Refused, match="nothing is known of a tenant 'nobody'"):
        run(Stack(an_answer(known=False)), tenant="nobody")
    with pytest.raises(Refused, match="there is no stack 'elsewhere'"):
        run(Stack(), "elsewhere")


@pytest.mark.parametrize("kind", FOUND)
def test_whatever_is_found_is_told_by_the_exit_status(kind: str) -> None:
    clean = an_answer(Report("a"))
    assert exit_code(clean) == NOTHING_FOUND
    clean["totals"][kind] = 1
    assert exit_code(clean) == SOMETHING_FOUND
    assert exit_code(clean | {"incomplete": ["x"]}) == SOMETHING_FOUND


@pytest.mark.parametrize("lacking", [{"incomplete": ["x"]}, {"left": 1}])
def test_nothing_found_where_not_everything_was_seen_is_no_success(lacking: Json) -> None:
    assert exit_code(an_answer(Report("a"), **lacking)) == FAILED


def test_every_kind_of_finding_has_a_line_that_says_what_it_is() -> None:
    once, twice = Confirmation(since=NOON, confirmed=False), Confirmation(since=NOON, confirmed=True)
    file = Orphan(store="r2", key="a/r/x", size=9, at=NOON, confirmation=twice)
    report = Report(
        "a",
        recordings=3,
        files=4,
        orphans=[
            file,
            Orphan(store="s3", key="u", size=None, at=NOON, upload_id="up", confirmation=once),
            Orphan(store="cloudflare", key="capture_1", size=None, at=NOON, room_id="room_1"),
        ],
        phantoms=[Phantom(recording_id="rec_1", store="r2", key="p", confirmation=once)],
        mismatches=[
            Mismatch(recording_id="rec_2", kind="size", recorded=5, found=4),
            Mismatch(recording_id="rec_3", kind="status", recorded="recording", found="absent", confirmation=once),
        ],
        stalled=[Stalled(recording_id="rec_4", step="archiving", since=NOON)],
        removed=[file],
        adopted=[Adopted(cloudflare_recording_id="capture_1", recording_id="rec_5")],
        reconciled=["rec_6"],
        held=True,
    )
    answer = an_answer(
        report,
        alarming={"confirmed_phantoms": 0},
        unregistered=2,
        strays=[{"store": "r2", "key": "evil\x1b[2J"}],
        incomplete=["Cloudflare"],
        left=1,
        omitted=1,
    )
    assert list(lines(answer, repair=True)) == [
        "a: 3 recordings, 4 files",
        "  orphan     r2 a/r/x (9 bytes of 2026-01-06T12:00:00Z, seen since 2026-01-06T12:00:00Z, confirmed)",
        "  orphan     s3 u (unfinished upload of 2026-01-06T12:00:00Z, seen since 2026-01-06T12:00:00Z,"
        " not confirmed yet)",
        "             … and 1 more orphan",
        "  phantom    rec_1 r2 p (seen since 2026-01-06T12:00:00Z, not confirmed yet)",
        "  mismatch   rec_2 size: recorded 5, found 4",
        "  mismatch   rec_3 status: recorded recording, found absent (seen since 2026-01-06T12:00:00Z,"
        " not confirmed yet)",
        "  stalled    rec_4 archiving, since 2026-01-06T12:00:00Z",
        "  removed    r2 a/r/x (9 bytes of 2026-01-06T12:00:00Z, seen since 2026-01-06T12:00:00Z, confirmed)",
        "  adopted    cloudflare capture_1 as rec_5",
        "  reconciled rec_6",
        "  No file is removed: no recording is left to own any. Was the table lost, or restored?",
        "Findings that found no place here: of 1 tenant; --tenant shows them",
        "1 tenant: 3 orphans, 1 phantom, 2 mismatches, 1 stalled, 1 removed, 1 adopted, 1 reconciled;"
        " confirmed phantoms: 0",
        "At Cloudflare, of meetings that no room owns: 2 captures",
        "In no tenant's folder: r2 evil\\u001b[2J",
        "Incomplete: Cloudflare",
        "Incomplete: not reached: 1 tenant",
    ]


def test_a_capture_has_its_room_in_its_line() -> None:
    provider_recording = Orphan(store="cloudflare", key="capture_1", size=None, at=NOON, room_id="room_1")
    told = list(lines(an_answer(Report("a", orphans=[provider_recording])), repair=False))
    assert told[1] == "  orphan     cloudflare capture_1 (room room_1, began 2026-01-06T12:00:00Z)"
    assert told[-1].startswith("Nothing was changed.")


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["reconcile", "--stack", "x", "--local", "y"],
        ["reconcile", "--stack", "x", "--min-age", "-1"],
        ["reconcile", "--stack", "x", "--min-age", "999999999999"],
        ["reconcile", "--stack", "x", "--min-age", "١"],
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(wrong)
    told = capsys.readouterr()
    assert (end.value.code, told.out, told.err.count("\n")) == (1, "", 1)
    assert told.err.startswith("error: ")


def test_which_stack_is_meant_without_a_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack_file, "ROOT", tmp_path)
    monkeypatch.delenv("RECORDINGS_STACK", raising=False)
    asked = parser().parse_args(["reconcile"])
    with pytest.raises(Refused, match="which stack"):
        place(asked)
    (tmp_path / ".local/default").mkdir(parents=True)
    (tmp_path / ".local/default/stack.json").write_text("{}")
    assert place(asked) == ("recordings-default", "default")
    assert "local stack 'default'" in capsys.readouterr().err
    monkeypatch.setenv("RECORDINGS_STACK", "recordings-prod")
    assert place(asked) == ("recordings-prod", None)
    assert place(parser().parse_args(["reconcile", "--local"])) == ("recordings-default", "default")
    assert place(parser().parse_args(["reconcile", "--stack", "x"])) == ("x", None)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("empty", ["--tenant", "--stack", "--local"])
def test_an_empty_name_is_neither_all_of_them_nor_another(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As when a shell's variable was never set."""
    rest = ["--stack", "x"] if empty == "--tenant" else []
    assert main(["reconcile", *rest, empty, "", "--repair"]) == FAILED
    assert f"{empty} is empty" in capsys.readouterr().err


def test_the_command_says_what_is_missing_before_it_is_set_up(tmp_path: Path) -> None:
    command = tmp_path / "recordings-admin"
    command.write_text((ROOT / "recordings-admin").read_text())
    command.chmod(0o755)
    done = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"recordings-admin: run `make setup` in {tmp_path} first\n"


def test_the_command_runs_from_anywhere_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "admin.py").write_text("raise SystemExit('not this one')")
    command = tmp_path / "command"
    command.symlink_to(ROOT / "recordings-admin")
    done = subprocess.run([command, "reconcile", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit status: 0 nothing found, 3 something found" in " ".join(done.stdout.split())
