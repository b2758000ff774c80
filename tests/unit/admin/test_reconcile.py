"""The command `recordings-admin reconcile`, with a function that returns prepared results."""

import ast
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from admin import AdminError
from admin.cli import run, with_stack_name
from admin.reconcile import FAILED, NOTHING_FOUND, SOMETHING_FOUND, exit_code, reconcile
from admin.report import DONE, FOUND, lines
from admin.stack import choose_stack, client_factory
from recordings.services.audit import report as audit_report
from recordings.services.audit.report import Adopted, Confirmation, Mismatch, Orphan, Phantom, Report, Stalled
from tests.support.builders import NOON
from tests.support.template import ROOT

type Json = dict[str, Any]


def a_result(*reports: Report, **facts: Any) -> Json:
    totals = {kind: sum(report.counts[kind] for report in reports) for kind in audit_report.KINDS}
    result: Json = {
        "started_at": "2026-01-06T12:00:00+00:00",
        "tenants": len(reports),
        "totals": totals,
        "alarming": {},
        "incomplete": [],
        "remaining_tenants": 0,
        "checkpoint": None,
        "progressed": bool(reports),
        "unregistered": 0,
        "strays": [],
        "known": True,
        "reports": [report.document(2) for report in reports],
        "omitted": 0,
    }
    return json.loads(json.dumps(result | facts))  # type: ignore[no-any-return]


class Stack:
    """CloudFormation and Lambda of one stack, whose function returns these results in turn."""

    def __init__(self, *results: Json) -> None:
        self.results, self.requests = list(results), list[Json]()

    def __call__(self, service: str) -> Any:
        return self

    def describe_stack_resource(self, *, StackName: str, LogicalResourceId: str) -> Json:
        assert LogicalResourceId == "AuditStorageAliaslive"
        if StackName != "here":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "no stack"}}, "DescribeStackResource")
        return {"StackResourceDetail": {"PhysicalResourceId": "function"}}

    def invoke(self, *, FunctionName: str, Payload: str) -> Json:
        assert FunctionName == "function"
        self.requests.append(json.loads(Payload))
        result = self.results.pop(0)
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in result else {}
        return {"Payload": io.BytesIO(json.dumps(result).encode()), **failed}


def audit(stack: Stack, name: str = "here", **options: Any) -> Json:
    return reconcile(stack, name, **({"tenant": None, "repair": False, "min_age_hours": None} | options))


def test_admin_knows_the_kinds_of_the_audit_report() -> None:
    assert (FOUND, DONE) == (audit_report.FOUND, audit_report.DONE)


def test_the_options_are_sent_to_the_function() -> None:
    stack = Stack(a_result(), a_result())
    audit(stack, tenant="acme", repair=True, min_age_hours=0)
    audit(stack)
    assert stack.requests == [
        {"tenant_id": "acme", "tenant": "acme", "repair": True, "min_age_hours": 0},
        {"tenant_id": None, "tenant": None, "repair": False},
    ]


def test_executions_follow_until_no_tenant_remains() -> None:
    orphan = Orphan(store="r2", key="k", size=1, at=NOON)
    first = a_result(
        Report("a", orphans=[orphan]), remaining_tenants=2, alarming={"confirmed_phantoms": 1}, incomplete=["x"]
    )
    second = a_result(
        Report("b", orphans=[orphan]), remaining_tenants=1, started_at="later", incomplete=["x", "y"], omitted=3
    )
    third = a_result(Report("c"), alarming={"confirmed_phantoms": 2}, unregistered=7)
    stack = Stack(first, second, third)
    found = audit(stack)
    assert [request.get("not_audited_since") for request in stack.requests] == [
        None,
        first["started_at"],
        first["started_at"],
    ]
    assert [report["tenant_id"] for report in found["reports"]] == ["a", "b", "c"]
    assert (found["tenants"], found["remaining_tenants"], found["omitted"], found["unregistered"]) == (3, 0, 3, 7)
    assert (found["totals"]["orphans"], found["incomplete"]) == (2, ["x", "y"])
    assert found["alarming"] == {"confirmed_phantoms": 3}


def test_a_tenant_of_several_executions_has_one_report() -> None:
    checkpoint = {"tenant_id": "a", "after": "room_1/"}
    orphans = [Orphan(store="r2", key=key, size=1, at=NOON) for key in "kl"]
    first = a_result(
        Report("a", recordings=2, files=3, orphans=orphans[:1]), remaining_tenants=1, checkpoint=checkpoint, tenants=0
    )
    second = a_result(Report("a", recordings=5, files=7, orphans=orphans[1:], held=True))
    stack = Stack(first, second)
    found = audit(stack, tenant="a")
    assert [request.get("checkpoint") for request in stack.requests] == [None, checkpoint]
    (report,) = found["reports"]
    assert (report["recordings"], report["files"], report["held"]) == (7, 10, True)
    assert ([row["key"] for row in report["orphans"]], report["counts"]["orphans"]) == (["k", "l"], 2)
    assert (found["tenants"], found["remaining_tenants"], found["totals"]["orphans"]) == (1, 0, 2)


def test_an_execution_without_progress_is_the_last() -> None:
    stack = Stack(a_result(Report("a"), remaining_tenants=2), a_result(remaining_tenants=2))
    assert audit(stack)["remaining_tenants"] == 2
    assert len(stack.requests) == 2


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"errorMessage": "Task timed out", "errorType": "x"}, "The audit failed: Task timed out"),
        ({"began": "2026-01-06", "left": 0}, "The stack has another release"),
    ],
)
def test_a_failed_execution_is_reported(result: Json, message: str) -> None:
    with pytest.raises(AdminError, match=message):
        audit(Stack(result))


def test_an_unknown_tenant_and_an_unknown_stack_are_reported() -> None:
    with pytest.raises(AdminError, match="Tenant 'nobody' is not known"):
        audit(Stack(a_result(known=False)), tenant="nobody")
    with pytest.raises(AdminError, match="There is no stack 'elsewhere'"):
        audit(Stack(), "elsewhere")


@pytest.mark.parametrize("kind", FOUND)
def test_the_exit_status_says_whether_something_was_found(kind: str) -> None:
    clean = a_result(Report("a"))
    assert exit_code(clean) == NOTHING_FOUND
    clean["totals"][kind] = 1
    assert exit_code(clean) == SOMETHING_FOUND
    assert exit_code(clean | {"incomplete": ["x"]}) == SOMETHING_FOUND


@pytest.mark.parametrize("lacking", [{"incomplete": ["x"]}, {"remaining_tenants": 1}])
def test_an_incomplete_audit_that_found_nothing_is_no_success(lacking: Json) -> None:
    assert exit_code(a_result(Report("a"), **lacking)) == FAILED


def test_every_kind_of_finding_has_a_line() -> None:
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
    result = a_result(
        report,
        alarming={"confirmed_phantoms": 0},
        unregistered=2,
        strays=[{"store": "r2", "key": "evil\x1b[2J"}],
        incomplete=["Cloudflare"],
        remaining_tenants=1,
        omitted=1,
    )
    assert list(lines(result, repair=True)) == [
        "a: 3 recordings, 4 files",
        "  orphan     r2 a/r/x (9 bytes of 2026-01-06T12:00:00Z, found since 2026-01-06T12:00:00Z, confirmed)",
        "  orphan     s3 u (unfinished upload of 2026-01-06T12:00:00Z, found since 2026-01-06T12:00:00Z,"
        " not confirmed yet)",
        "             … and 1 more orphan",
        "  phantom    rec_1 r2 p (found since 2026-01-06T12:00:00Z, not confirmed yet)",
        "  mismatch   rec_2 size: recorded 5, found 4",
        "  mismatch   rec_3 status: recorded recording, found absent (found since 2026-01-06T12:00:00Z,"
        " not confirmed yet)",
        "  stalled    rec_4 archiving, since 2026-01-06T12:00:00Z",
        "  removed    r2 a/r/x (9 bytes of 2026-01-06T12:00:00Z, found since 2026-01-06T12:00:00Z, confirmed)",
        "  adopted    cloudflare capture_1 as rec_5",
        "  reconciled rec_6",
        "  No file was deleted: the tenant has no recordings. Was the table lost, or restored?",
        "Reports that did not fit: of 1 tenant. --tenant shows them.",
        "1 tenant: 3 orphans, 1 phantom, 2 mismatches, 1 stalled, 1 removed, 1 adopted, 1 reconciled;"
        " confirmed phantoms: 0",
        "At Cloudflare, in meetings that no room owns: 2 recordings",
        "Outside of every tenant's folder: r2 evil\\u001b[2J",
        "Incomplete: Cloudflare",
        "Incomplete: 1 tenant not audited",
    ]


def test_an_orphan_at_cloudflare_shows_its_room() -> None:
    provider_recording = Orphan(store="cloudflare", key="capture_1", size=None, at=NOON, room_id="room_1")
    shown = list(lines(a_result(Report("a", orphans=[provider_recording])), repair=False))
    assert shown[1] == "  orphan     cloudflare capture_1 (room room_1, began 2026-01-06T12:00:00Z)"
    assert shown[-1].startswith("Nothing was changed.")


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
def test_a_wrong_command_line_is_reported_in_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(wrong) == FAILED
    written = capsys.readouterr()
    assert (written.out, written.err.count("\n")) == ("", 1)
    assert written.err.startswith("error: ")


def test_the_stack_is_chosen_by_option_environment_or_what_is_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RECORDINGS_STACK", raising=False)
    with pytest.raises(AdminError, match="No stack is named"):
        choose_stack(stack=None, local=None, root=tmp_path)
    (tmp_path / ".local/default").mkdir(parents=True)
    (tmp_path / ".local/default/stack.json").write_text("{}")
    assert choose_stack(stack=None, local=None, root=tmp_path) == ("recordings-default", "default")
    assert "local stack 'default'" in capsys.readouterr().err
    monkeypatch.setenv("RECORDINGS_STACK", "recordings-prod")
    assert choose_stack(stack=None, local=None, root=tmp_path) == ("recordings-prod", None)
    assert choose_stack(stack=None, local="default", root=tmp_path) == ("recordings-default", "default")
    assert choose_stack(stack="x", local=None, root=tmp_path) == ("x", None)
    assert capsys.readouterr().err == ""


def test_the_name_of_a_local_stack_may_be_left_out() -> None:
    assert with_stack_name(["reconcile", "--local"]) == ["reconcile", "--local", "default"]
    assert with_stack_name(["reconcile", "--local", "--json"]) == ["reconcile", "--local", "default", "--json"]
    assert with_stack_name(["reconcile", "--local", "two"]) == ["reconcile", "--local", "two"]


def test_a_local_stack_that_is_not_up_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match="Start it with `make up NAME=two`"):
        client_factory("two", tmp_path)


@pytest.mark.parametrize("empty", ["--tenant", "--stack", "--local"])
def test_an_empty_name_is_refused(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell passes an empty name for a variable that was never set."""
    rest = ["--stack", "x"] if empty == "--tenant" else []
    assert run(["reconcile", *rest, empty, "", "--repair"]) == FAILED
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


def test_the_commands_import_nothing_of_the_local_stack() -> None:
    for path in (ROOT / "admin").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] in {"tools", "tests"}], path
