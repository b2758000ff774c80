"""The messages between state machines and functions: what is refused, and what executions of the last release need."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from recordings.services.audit.audit_storage import AuditResult, Checkpoint
from recordings.services.audit.report import ReportDocuments, UnassignedObject
from recordings.workflow.messages.audit import MAX_STRAYS, AuditProgress, AuditStorageOutput
from recordings.workflow.messages.processing import RENAMED_ERRORS
from recordings.workflow.messages.sync import ITEM_NAMES
from tests.support.builders import NOON
from tests.support.messages import FUNCTIONS, models_of
from tests.support.template import ROOT
from tools.checks.machines import Coverage, Execution, TaskFailed

type Json = dict[str, Any]

LAST_RELEASE = ROOT / "tests/data/last_release"
# What the state machines of the last release sent, and the example events of its functions.
INPUTS: dict[str, list[Json]] = json.loads((LAST_RELEASE / "inputs.json").read_text())
MACHINES = ("processing", "archiving", "audit", "sync")
# A webhook completes the token of a waiting execution with this.
WEBHOOK = {"state": "check_again"}
RENAMED_KEYS = {
    "work": "attempt",
    "ranges": "use_ranges",
    "tenant": "tenant_id",
    "goes_on": "checkpoint",
    "quiet": "progress_only",
    "newest": "watermark",
    "gave_up": "failed",
    "looks": "items",
}
TASKS = sorted(
    name
    for name, body in FUNCTIONS.items()
    if body["CodeUri"].startswith("functions/workflow/") or name == "AuditStorage"
)


def event_of(function: str) -> Json:
    event: Json = json.loads(
        (ROOT / "events" / f"{FUNCTIONS[function]['CodeUri'].rpartition('/')[2]}.json").read_text()
    )
    return event


def current(value: Any) -> Any:
    """A value of the last release as this one writes it."""
    if isinstance(value, list):
        return [{ITEM_NAMES.get(key, key): one for key, one in item.items()} for item in value]
    return value.replace("+00:00", "Z") if isinstance(value, str) else value


def has_all(found: object, expected: object) -> bool:
    """Whether `found` is `expected`, but for more keys: those of the domain's values that have a default."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return all(name in found and has_all(found[name], value) for name, value in expected.items())
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(has_all, found, expected))
    if isinstance(found, str) and isinstance(expected, str):
        # pydantic writes UTC as Z.
        return found == expected.replace("+00:00", "Z")
    return found == expected


@pytest.mark.parametrize("function", INPUTS)
def test_an_input_of_the_last_release_means_what_it_meant(function: str) -> None:
    model, _ = models_of(function)
    for recorded in INPUTS[function]:
        message = model.model_validate(recorded).model_dump(mode="json")
        for old in RENAMED_KEYS.keys() & recorded.keys():
            assert message[RENAMED_KEYS[old]] == current(recorded[old]), old
        for name in ("plan", "segment", "partial", "key", "token", "wait_seconds", "checked", "nonce"):
            assert has_all(message.get(name), recorded.get(name)), name
        if recorded.get("done"):
            done = recorded["done"]
            assert message["result"] == {name: done[name] for name in ("etag", "crc32")} | {"verified": done["proven"]}
        if "file" in recorded:
            # The content type says whether it is media.
            facts = {name: fact for name, fact in recorded["file"].items() if name != "is_media"}
            assert has_all(message["file"], facts)
        if "error" in recorded:
            assert message["error"] == RENAMED_ERRORS.get(recorded["error"], recorded["error"])


@pytest.mark.parametrize("function", TASKS)
def test_the_example_event_of_a_task_is_an_input_and_has_no_other_key(function: str) -> None:
    model, _ = models_of(function)
    event = event_of(function)
    assert model.model_validate(event).model_dump(mode="json", exclude_unset=True).keys() == event.keys()
    assert model.model_validate(event | {"of_another_release": 1}) == model.model_validate(event)


@pytest.mark.parametrize("function", TASKS)
def test_every_required_key_of_an_input_is_required(function: str) -> None:
    model, _ = models_of(function)
    event = event_of(function)
    for name, field in model.model_fields.items():
        if field.is_required():
            with pytest.raises(ValidationError, match="Field required"):
                model.model_validate({key: value for key, value in event.items() if key != name})


@pytest.mark.parametrize("machine", [name for name in MACHINES if name != "sync"])
def test_an_execution_on_the_last_releases_definition_ends_as_on_this_ones(machine: str) -> None:
    """This release's functions read what the old definition sends, and it reads what they return."""
    definition = json.loads((LAST_RELEASE / f"{machine}.asl.json").read_text())
    examples = json.loads((ROOT / f"statemachines/examples/{machine}.json").read_text())
    invoked: set[str] = set()

    def check_payload(function: str, payload: Json) -> list[str]:
        invoked.add(function)
        models_of(function)[0].model_validate(payload)
        return []

    defaults = {function: returned(function, response) for function, response in examples["tasks"].items()}
    for example in examples["executions"]:
        tasks = {name: [returned(name, one) for one in listed] for name, listed in example.get("tasks", {}).items()}
        faults: list[str] = []
        execution = Execution({**example, "tasks": tasks}, defaults, check_payload, Coverage(), faults)
        assert (end_of(execution, definition), faults) == (expected_end(example), []), example["name"]
    assert invoked == examples["tasks"].keys()


def test_a_sync_on_the_last_releases_definition_fails_and_releases_the_lease() -> None:
    """Its function ScanCaptures has another name now, so it does not exist. The next sync lists the same again."""
    definition = json.loads((LAST_RELEASE / "sync.asl.json").read_text())
    examples = json.loads((ROOT / "statemachines/examples/sync.json").read_text())
    sent: list[tuple[str, Json]] = []

    def check_payload(function: str, payload: Json) -> list[str]:
        sent.append((function, payload))
        return []

    tasks = {name: [returned(name, examples["tasks"][name])] for name in ("BeginSync", "EndSync")}
    gone = {"ScanCaptures": [{"fails": "Lambda.ResourceNotFoundException"}]}
    faults: list[str] = []
    execution = Execution({"input": {}, "tasks": tasks | gone}, {}, check_payload, Coverage(), faults)
    assert (end_of(execution, definition), faults) == ("Failed", [])
    assert [function for function, _ in sent] == ["BeginSync", "ScanCaptures", "EndSync"]
    end = models_of("EndSync")[0].model_validate(sent[-1][1]).model_dump(mode="json")
    assert end == {"nonce": "example", "watermark": None, "full_at": None, "failed": True}


def end_of(execution: Execution, definition: Json) -> str:
    try:
        return execution.run(definition)
    except TaskFailed:
        return "an error that nothing catches"


def expected_end(example: Json) -> str:
    # No old definition catches a renamed error: the execution ends stalled, and the sync starts another attempt.
    return "Stalled" if errors_in(example) & {*RENAMED_ERRORS.values()} else str(example["ends"])


def errors_in(example: Json) -> set[str]:
    return {one["fails"] for listed in example.get("tasks", {}).values() for one in listed if "fails" in one}


def returned(function: str, response: Json) -> Json:
    """What a state receives from a function, given the example of its answer."""
    if "gives" not in response or response["gives"] == WEBHOOK:
        return response
    return {"gives": models_of(function)[1].model_validate(response["gives"]).to_payload()}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_examples_of_a_machine_are_what_its_functions_return(machine: str) -> None:
    examples = json.loads((ROOT / f"statemachines/examples/{machine}.json").read_text())
    responses = [*examples["tasks"].items()]
    responses += [(name, one) for example in examples["executions"] for name, listed in example.get("tasks", {}).items()
                for one in listed]  # fmt: skip
    for name, response in responses:
        if "gives" in response and response["gives"] != WEBHOOK:
            output = models_of(name)[1].model_validate(response["gives"])
            assert has_all(output.model_dump(mode="json", exclude_unset=True), response["gives"]), name


def test_an_audits_output_has_its_keys_of_this_release_and_of_the_last() -> None:
    checkpoint = Checkpoint("tenant_1", "room_1/")
    strays = [UnassignedObject(store="r2", key=f"loose-{number}") for number in range(MAX_STRAYS + 1)]
    result = AuditResult(NOON, tenants=1, left=2, checkpoint=checkpoint, advanced=True, unassigned=strays)
    progress = {
        "started_at": "2026-01-06T12:00:00Z",
        "remaining_tenants": 2,
        "checkpoint": {"tenant_id": "tenant_1", "after": "room_1/"},
        "progressed": True,
    }
    former = {"began": progress["started_at"], "left": 2, "goes_on": progress["checkpoint"], "moved": True}
    assert AuditProgress.from_result(result).to_payload() == progress | former

    documents = ReportDocuments(max_rows=1, max_bytes=1000, reports=[{"tenant_id": "tenant_1"}], omitted=3)
    output = AuditStorageOutput.with_reports(result, documents).to_payload()
    assert {name: output[name] for name in progress | former} == progress | former
    assert output["strays"] == [{"store": "r2", "key": f"loose-{number}"} for number in range(MAX_STRAYS)]
    assert (output["reports"], output["omitted"], output["known"]) == ([{"tenant_id": "tenant_1"}], 3, True)
