"""Deployments over what is stored and under way: the last release is replaced, code and layers change under traffic.

`last_release`, beside this file, names the commit that the first test deploys first: the release before this one.
"""

import io
import json
import re
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import stop_the_clock
from tests.e2e.migration import Migration, fill_quiet_tenant
from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    Json,
    a_room,
    client_of,
    digest,
    fault,
    get,
    hold_archiving,
    imported,
    in_archive,
    in_status,
    make,
    outcome,
    provider_recordings,
    run_archiving,
    settle,
    start,
    stop,
    sync,
    tallies,
    until,
)
from tools.local import functions, stack
from tools.release.package import package

NAME = "deployments"
TENANT = "tenant-deployments"
LAST_RELEASE = Path(__file__).with_name("last_release")
PROCESSING = (
    "CheckUpload", "PlanTransfer", "CopySegment", "CheckSegment", "CompleteTransfer", "VerifyTransfer", "MarkReady",
)  # fmt: skip
# Which of the functions' parts CloudFormation updates first is its own affair.
ORDERS = {"code first": ("code", "layers"), "layers first": ("layers", "code")}


def checkout_of(revision: str, folder: Path) -> Path:
    """The files of a commit of this repository's history."""
    held = subprocess.run(
        ["git", "archive", "--format=tar", revision], cwd=stack.ROOT, capture_output=True, check=False, timeout=60
    )
    if held.returncode:
        pytest.fail(
            f"The last release, commit {revision}, is not in this clone's history: "
            "fetch it whole with `git fetch --unshallow`.",
            pytrace=False,
        )
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", folder], input=held.stdout, check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Json]:
    """A stack of the last release."""
    source = checkout_of(LAST_RELEASE.read_text().strip(), tmp_path_factory.mktemp("release") / "checkout")
    started = stack.up(NAME, source=source)
    try:
        stop_the_clock(started)
        yield started
    finally:
        stack.down(NAME)


@pytest.fixture(scope="module")
def upgraded(old: Json) -> Iterator[Json]:
    """What the last release stored and had under way, before this one was deployed over it and after."""
    with (
        client_of(old, TENANT) as api,
        httpx.Client(base_url=old["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as cloudflare,
    ):
        found: Json = {"recordings": recordings_in_every_status(old, api, cloudflare)}
        found["quiet lists"] = fill_quiet_tenant(old, cloudflare)
        found["under way"] = executions_under_way(old, api, cloudflare)
        known = [*found["recordings"].values(), *found["under way"]["recordings"].values()]
        found["before"] = {one: get(api, one) for one in known}
        found["tallies before"] = tallies(api)
        found["running"] = stack.deploy(NAME)
        stop_the_clock(found["running"])
        found["after"] = {one: get(api, one) for one in known}
        found["tallies after"] = tallies(api)
        yield found


@pytest.fixture(scope="module")
def migration(upgraded: Json, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    """The migration of lists, which waits for minutes: beside it run all tests of this module, as its traffic."""
    opened = Migration(upgraded["running"], NAME, upgraded["quiet lists"], tmp_path_factory.mktemp("migration") / "log")
    with opened.beside():
        yield opened


@pytest.fixture(scope="module")
def running(upgraded: Json, migration: Migration) -> Json:
    """The stack with this release."""
    known: Json = upgraded["running"]
    return known


@pytest.fixture
def tenant() -> str:
    return TENANT


def recordings_in_every_status(running: Json, api: httpx.Client, cloudflare: httpx.Client) -> dict[str, str]:
    found = {}
    for state in ("ready", "deleted", "stored", "restored"):
        found[state] = imported(api, cloudflare, a_room(api, state))[0]
    make(cloudflare, a_room(api, "failed")["cloudflare_meeting_id"], status="ERRORED")
    found["failed"] = sync(api, "failed")["recordings"][0]["id"]
    a_room(api, "recording")
    found["recording"] = start(api, "recording")
    for state in ("ready", "deleted", "stored", "restored"):
        in_status(api, found[state], "ready")
    for state in ("stored", "restored"):
        api.post(f"/recordings/{found[state]}/archive").raise_for_status()
    for state in ("stored", "restored"):
        in_archive(api, found[state], "stored")
    api.post(f"/recordings/{found['restored']}/restore", json={"days": 2}).raise_for_status()
    in_archive(api, found["restored"], "restored")
    # It is gone from the lists, and there it stays; only who has its id may bring it back.
    api.delete(f"/recordings/{found.pop('deleted')}").raise_for_status()
    return found


def step_of(api: httpx.Client, recording_id: str) -> str | None:
    progress = get(api, recording_id)["progress"]
    return progress and str(progress["step"])


def media_calls(cloudflare: httpx.Client, cloudflare_recording_id: str) -> int:
    """How often the recording's file was asked for."""
    asked = cloudflare.get("/requests").json()["data"]
    return sum(one["operation"] == "media" and cloudflare_recording_id in one["path"] for one in asked)


def executions_under_way(running: Json, api: httpx.Client, cloudflare: httpx.Client) -> Json:
    """A recording that waits for Cloudflare's upload, one whose file is being copied, and a move that has begun."""
    moving = imported(api, cloudflare, a_room(api, "moving"))[0]
    in_status(api, moving, "ready")
    room = a_room(api, "waiting")
    waiting = start(api, "waiting")
    settle(cloudflare, stall_in="UPLOADING")
    stop(api, "waiting")
    until(lambda: step_of(api, waiting) == "waiting_for_upload")
    settle(cloudflare, stall_in=None)
    fault(cloudflare, "media", "hold")
    copying, made = imported(api, cloudflare, a_room(api, "copying"))
    until(lambda: media_calls(cloudflare, made["id"]))
    (upload,) = provider_recordings(cloudflare, room["cloudflare_meeting_id"])
    return {
        "recordings": {"waiting": waiting, "copying": copying, "moving": moving},
        "upload": upload["id"],
        "move": resting_move(running, api, moving),
        "sha256": made["sha256"],
    }


def resting_move(running: Json, api: httpx.Client, recording_id: str) -> str:
    """A move to cold storage that has begun, and rests for some seconds: the deployment falls into them."""
    machines = stack.client(running, "stepfunctions")
    reported = machines.describe_state_machine(stateMachineArn=running["state_machines"]["Archiving"])
    definition = json.loads(reported["definition"])
    opened = definition["States"]["BeginArchive"]
    definition["States"]["Rest"] = {"Type": "Wait", "Seconds": 15, "Next": opened["Next"]}
    opened["Next"] = "Rest"
    arn = machines.create_state_machine(name="resting", definition=json.dumps(definition), roleArn=reported["roleArn"])[
        "stateMachineArn"
    ]
    hold_archiving(running, recording_id)
    api.post(f"/recordings/{recording_id}/archive").raise_for_status()
    return run_archiving(running, TENANT, recording_id, machine=arn)


# ---------------------------------------------------------------- over the last release


def test_what_the_last_release_stored_reads_as_it_did(upgraded: Json, api: httpx.Client) -> None:
    for name, recording_id in upgraded["recordings"].items():
        before, after = upgraded["before"][recording_id], upgraded["after"][recording_id]
        # What is new is new; what there was is as it was.
        assert [change.pop("actor") for change in after["history"]] == [None] * len(before["history"])
        assert {key: after.get(key) for key in before} == before, name
    assert upgraded["tallies after"] == upgraded["tallies before"]
    assert {upgraded["after"][one]["status"] for one in upgraded["recordings"].values()} == {
        "recording", "ready", "archived", "failed",
    }  # fmt: skip
    for name in ("ready", "restored"):
        link = api.get(f"/recordings/{upgraded['recordings'][name]}/download")
        assert link.status_code == 200, link.text
        assert len(digest(link.json())) == 64
    assert api.post(f"/recordings/{upgraded['recordings']['stored']}/restore", json={"days": 1}).status_code == 202


def test_a_recording_that_began_under_the_last_release_ends_under_this_one(upgraded: Json, api: httpx.Client) -> None:
    stop(api, "recording")
    in_status(api, upgraded["recordings"]["recording"], "ready")


def test_executions_under_way_finish(upgraded: Json, api: httpx.Client, cloudflare: httpx.Client) -> None:
    under_way = upgraded["under way"]
    cloudflare.delete("/faults").raise_for_status()
    cloudflare.post(f"/recordings/{under_way['upload']}/status", json={"status": "UPLOADED"}).raise_for_status()

    for name in ("waiting", "copying"):
        found = in_status(api, under_way["recordings"][name], "ready")
        assert [one["status"] for one in found["history"]] == ["recording", "processing", "ready"], name
    copied = api.get(f"/recordings/{under_way['recordings']['copying']}/download").json()
    assert digest(copied) == under_way["sha256"]
    assert outcome(upgraded["running"], under_way["move"]) == "SUCCEEDED"
    assert get(api, under_way["recordings"]["moving"])["archive"]["state"] == "stored"


# ---------------------------------------------------------------- code and layers apart


class Traffic:
    """Calls of the API, one after the other, until the end of `with`. What was not answered with 200 is kept."""

    def __init__(self, running: Json, *paths: str) -> None:
        self._running, self._paths = running, paths
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self.answered = 0
        self.failed: list[str] = []

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _go_on(self) -> None:
        with client_of(self._running, TENANT) as api:
            while not self._over.is_set():
                for path in self._paths:
                    response = api.get(path)
                    if response.status_code == 200:
                        self.answered += 1
                    else:
                        self.failed.append(f"{path}: {response.status_code} {response.text}")

    def some_more(self) -> None:
        """Wait for three rounds that began after this call."""
        wanted = self.answered + len(self.failed) + 4 * len(self._paths)
        until(lambda: self.answered + len(self.failed) >= wanted)


def test_another_value_of_a_parameter_reaches_who_calls_by_the_alias(running: Json) -> None:
    """SAM takes a template with another value for the same one; the versions must change all the same."""
    client = stack.client(running, "lambda")

    def known() -> dict[str, Json]:
        return {name: client.get_function_configuration(FunctionName=arn) for name, arn in running["callable"].items()}

    assert all(arn.endswith(":live") for arn in running["callable"].values())
    before = known()
    with Traffic(running, "/recordings", "/rooms") as traffic:
        traffic.some_more()
        stack.deploy(NAME, parameters={"RetentionDays": "3"})
        traffic.some_more()

    after = known()
    assert {one["Environment"]["Variables"]["RETENTION_DAYS"] for one in before.values()} == {"1"}
    assert {one["Environment"]["Variables"]["RETENTION_DAYS"] for one in after.values()} == {"3"}
    assert [name for name in before if before[name]["Version"] == after[name]["Version"]] == []
    assert traffic.failed == []


def zipped(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


def renamed(source: str) -> str:
    """Code that imports the package by another name: it runs with the other layer only."""
    return re.sub(r"(?m)^(\s*(?:from|import) )recordings\b", r"\1recordings_next", source)


class Release:
    """Code and layers of some functions, and another edition of both, neither of which runs with the other's half."""

    def __init__(self, running: Json, names: tuple[str, ...]) -> None:
        self._lambda = stack.client(running, "lambda")
        self._functions = {name: running["functions"][name] for name in names}
        build = stack.folder(NAME) / "build"
        package = build / "RecordingsLayer/python/recordings"
        layer = {
            f"python/recordings_next/{path.relative_to(package)}": renamed(path.read_text())
            for path in package.rglob("*.py")
        }
        published = self._lambda.publish_layer_version(
            LayerName=f"recordings-{NAME}-recordings", Content={"ZipFile": zipped(layer)}
        )["LayerVersionArn"]
        self._layers: dict[str, dict[bool, list[str]]] = {}
        self._code: dict[str, dict[bool, bytes]] = {}
        for name, function in self._functions.items():
            now = [one["Arn"] for one in self._lambda.get_function_configuration(FunctionName=function)["Layers"]]
            source = (build / name / "app.py").read_text()
            self._layers[name] = {False: now, True: [now[0], published]}
            self._code[name] = {False: zipped({"app.py": source}), True: zipped({"app.py": renamed(source)})}

    def update(self, part: str, *, following: bool) -> None:
        """Give all functions one half of an edition, as CloudFormation does: $LATEST alone changes."""
        for name, function in self._functions.items():
            if part == "code":
                self._lambda.update_function_code(FunctionName=function, ZipFile=self._code[name][following])
            else:
                self._lambda.update_function_configuration(FunctionName=function, Layers=self._layers[name][following])

    def publish(self) -> None:
        for function in self._functions.values():
            functions.publish(self._lambda, function)

    def fault_of_latest(self, name: str) -> str | None:
        """How the function fails that is called without the alias."""
        response = self._lambda.invoke(FunctionName=self._functions[name], Payload=b"{}")
        reported = json.loads(response["Payload"].read())
        return str(reported.get("errorMessage")) if response.get("FunctionError") else None


@pytest.fixture(scope="module")
def release(running: Json) -> Release:
    return Release(running, (*PROCESSING, "ListRecordings", "GetRoom"))


@pytest.mark.parametrize("order", ORDERS)
def test_code_and_layers_change_apart_under_traffic(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, release: Release, order: str
) -> None:
    room = a_room(api, order.replace(" ", "-"))
    # The second order leads back to the first edition.
    following = order == "code first"
    settle(cloudflare, stall_in="UPLOADING")
    opened = start(api, room["id"])
    stop(api, room["id"])
    until(lambda: step_of(api, opened) == "waiting_for_upload")
    settle(cloudflare, stall_in=None)

    with Traffic(running, "/recordings", f"/rooms/{room['id']}") as traffic:
        traffic.some_more()
        first, second = ORDERS[order]
        release.update(first, following=following)
        # This is what every caller of the bare functions meets meanwhile.
        for name in ("ListRecordings", "CheckUpload"):
            assert "No module named 'recordings" in str(release.fault_of_latest(name))
        meanwhile = imported(api, cloudflare, a_room(api, f"{room['id']}-meanwhile"))[0]
        in_status(api, meanwhile, "ready")
        traffic.some_more()
        release.update(second, following=following)
        release.publish()
        traffic.some_more()
        (upload,) = provider_recordings(cloudflare, room["cloudflare_meeting_id"])
        cloudflare.post(f"/recordings/{upload['id']}/status", json={"status": "UPLOADED"}).raise_for_status()
        in_status(api, opened, "ready")
        later = imported(api, cloudflare, a_room(api, f"{room['id']}-later"))[0]
        in_status(api, later, "ready")
        traffic.some_more()

    assert traffic.failed == []
    assert executions_failed(running) == []


def executions_failed(running: Json) -> list[str]:
    machines = stack.client(running, "stepfunctions")
    found: list[str] = []
    for status in ("FAILED", "TIMED_OUT", "ABORTED"):
        reported = machines.list_executions(
            stateMachineArn=running["state_machines"]["Processing"], statusFilter=status
        )
        found += [one["name"] for one in reported["executions"]]
    return found


# ---------------------------------------------------------------- side by side


def test_two_stacks_side_by_side_share_no_name(running: Json, api: httpx.Client, tmp_path: Path) -> None:
    """The second one comes out of a release's folder: it holds all that its template names."""
    package(stack.folder(NAME) / "build", tmp_path)
    other = stack.deploy_beside(running, "beside", tmp_path)

    # These are named within an API, and numbered within a profile.
    within = {"AWS::ApiGatewayV2::Stage", "AWS::AppConfig::HostedConfigurationVersion"}
    first, second = [
        {
            (one["ResourceType"], one["PhysicalResourceId"])
            for one in stack.resources(each)
            if one["ResourceType"] not in within
        }
        for each in (running, other)
    ]
    assert len(second) >= 200
    assert first & second == set()
    assert not set(running["functions"].values()) & set(other["functions"].values())
    headers = {"Authorization": f"Bearer {stack.token(running, TENANT)}"}
    with httpx.Client(base_url=f"{other['api_url']}/api/v1", headers=headers, timeout=MAX_WAIT_SECONDS) as beside:
        made = a_room(beside, "beside")
        assert made["cloudflare_meeting_id"]
        assert beside.get("/recordings").json()["meta"]["total"] == 0
        assert beside.get("/rooms").json()["data"][0]["id"] == "beside"
    assert api.get("/rooms/beside").status_code == 404
    assert api.get("/recordings").json()["meta"]["total"] > 0


# ---------------------------------------------------------------- the migration that ran beside all of this


def test_lists_are_the_same_before_during_and_after_their_migration(migration: Migration, api: httpx.Client) -> None:
    status = migration.finish()
    said = migration.log.read_text()
    assert status == 0, said
    assert "The lists are migrated." in said
    assert migration.different == []
    compared = migration.tallies()
    assert (compared.returncode, compared.stderr.count("error")) == (0, 0), compared.stdout + compared.stderr
    assert "Layout: rows." in compared.stdout
    kinds = {pk.split("#")[2] for pk in migration.partitions() if pk.startswith("T#")}
    assert {"ROWS", "YEARS", "MONTHS", "DAYS"} <= kinds
    assert not {"DAY", "LIST"} & kinds
    a_room(api, "after-migration")
    opened = start(api, "after-migration")
    assert [one["id"] for one in api.get("/recordings", params={"status": "recording"}).json()["data"]] == [opened]
    stop(api, "after-migration")
