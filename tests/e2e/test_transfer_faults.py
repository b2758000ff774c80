"""Files come whole through broken connections, error answers, wrong bits and killed processes.

The code of the workflow's functions runs in a process of its own, with a deployed function's environment; R2 is behind
a proxy that makes the faults. The stand-in tells which ranges of a file were fetched.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.support import (
    MAX_WAIT_SECONDS,
    a_room,
    downloaded,
    fault,
    imported,
    in_status,
    make,
    settle,
    sync,
    tried,
    unfinished,
    until,
)
from tests.support.proxy import SLOW_DOWN, Faults, Flip, Proxy
from tools.bench.transfer.engine import TENANT, Answer, Engine
from tools.bench.transfer.errors import Failed
from tools.local import functions, stack

MIB = 1024 * 1024
PART = 16 * MIB
GIGABYTE = 1024 * MIB
# Bytes that a connection lasts on average.
LASTS = 20_000_000
# A call to R2 is tried so often by the client itself.
ATTEMPTS = 5
THREADS = 4
# So many parts of this size have their checksums stored at once.
BATCH = 8

type Json = dict[str, Any]
type Register = Callable[[int], tuple[Json, Json]]


@pytest.fixture(scope="module")
def proxy(running: Json) -> Iterator[Proxy]:
    with Proxy(running["endpoints"]["r2"], seed=7) as made:
        yield made


@pytest.fixture(scope="module")
def engine(running: Json, proxy: Proxy) -> Iterator[Engine]:
    with Engine(running, R2_ENDPOINT=proxy.url) as made:
        yield made


@pytest.fixture(autouse=True)
def clean(proxy: Proxy, cloudflare: httpx.Client) -> Iterator[None]:
    """No test inherits a fault or a count."""
    proxy.faults, proxy.calls = Faults(), []
    cloudflare.delete("/requests")
    yield
    proxy.faults = Faults()


@pytest.fixture
def register(running: Json, engine: Engine, cloudflare: httpx.Client) -> Iterator[Register]:
    """Makes a recording at the stand-in that waits to be fetched: the work, and what the stand-in knows of it."""
    made: list[Json] = []

    def make(size: int) -> tuple[Json, Json]:
        provider_recording: Json = cloudflare.post(
            "/recordings", json={"size": size, "exact": True}, timeout=MAX_WAIT_SECONDS
        ).json()["data"]
        work = engine.call(
            "tools.bench.transfer.inside:register", "faults", provider_recording["meeting_id"], provider_recording["id"]
        ).value
        made.append(work)
        return work, provider_recording

    yield make
    # The emulator keeps its files in memory.
    store, bucket = stack.client(running, "r2"), running["buckets"]["r2"]
    for work in made:
        for item in store.list_objects_v2(Bucket=bucket, Prefix=f"{TENANT}/faults/{work['recording_id']}/").get(
            "Contents", []
        ):
            store.delete_object(Bucket=bucket, Key=item["Key"])


def finished(engine: Engine, work: Json, plan: Json) -> Json:
    """Complete, verify and mark as the workflow does; the facts of the stored file."""
    done, _ = tried(lambda: engine.task("complete_transfer", work, plan, checked=False))
    assert done.value["verified"]
    facts, _ = tried(lambda: engine.task("verify_transfer", plan, done.value))
    engine.call("tools.bench.transfer.inside:mark", work, plan["key"], facts.value)
    found: Json = facts.value
    return found


def digest(running: Json, key: str) -> str:
    """The SHA-256 of a file in R2, read past the proxy."""
    whole = hashlib.sha256()
    found = stack.client(running, "r2").get_object(Bucket=running["buckets"]["r2"], Key=key)
    for chunk in found["Body"].iter_chunks(MIB):
        whole.update(chunk)
    return whole.hexdigest()


def ranges(cloudflare: httpx.Client, provider_recording: Json) -> list[tuple[int, int]]:
    """The ranges of a file that were asked for, in their order, but for the one byte that measures it."""
    calls = cloudflare.get("/requests").json()["data"]
    reported = [
        call["range"] for call in calls if call["operation"] == "media" and provider_recording["id"] in call["path"]
    ]
    found = [re.fullmatch(r"bytes=(\d+)-(\d+)", one) for one in reported if one != "bytes=0-0"]
    return [(int(one[1]), int(one[2])) for one in found if one is not None]


def fetched(cloudflare: httpx.Client, provider_recording: Json) -> dict[int, int]:
    """How often each part was fetched from its beginning."""
    counts: dict[int, int] = {}
    for first, _ in ranges(cloudflare, provider_recording):
        if first % PART == 0:
            counts[first // PART + 1] = counts.get(first // PART + 1, 0) + 1
    return counts


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that was fetched over breaking connections: what it is, how it went, and the ranges asked for."""

    provider_recording: Json
    plan: Json
    copied: Answer
    facts: Json
    digest: str
    ranges: list[tuple[int, int]]


@pytest.fixture(scope="module")
def gigabyte(running: Json) -> Carried:
    """A gigabyte, carried once, while connections to Cloudflare last for 20 MB on average."""
    with (
        httpx.Client(base_url=running["cloudflare_control_url"], timeout=MAX_WAIT_SECONDS) as cloudflare,
        Engine(running) as engine,
    ):
        provider_recording = cloudflare.post("/recordings", json={"size": GIGABYTE, "exact": True}).json()["data"]
        work = engine.call(
            "tools.bench.transfer.inside:register", "faults", provider_recording["meeting_id"], provider_recording["id"]
        ).value
        cloudflare.post("/faults", json={"on": "media", "kind": "cut", "every_bytes": LASTS})
        plan = engine.task("plan_transfer", work).value
        copied = engine.task("copy_segment", work, plan, plan["segments"][0])
        facts = finished(engine, work, plan)
        cloudflare.delete("/faults")
        asked = ranges(cloudflare, provider_recording)
    made = Carried(provider_recording, plan, copied, facts, digest(running, plan["key"]), asked)
    # The emulator keeps its files in memory.
    stack.client(running, "r2").delete_object(Bucket=running["buckets"]["r2"], Key=plan["key"])
    return made


def test_a_gigabyte_comes_whole_over_connections_that_break(running: Json, gigabyte: Carried) -> None:
    assert gigabyte.plan["segments"] == [[1, 64]]
    assert gigabyte.copied.value == 64
    assert gigabyte.facts["size"] == GIGABYTE
    assert gigabyte.digest == gigabyte.provider_recording["sha256"]
    assert unfinished(running, "r2", gigabyte.plan["key"]) == []
    of_part: dict[int, list[int]] = {}
    for first, last in gigabyte.ranges:
        assert last == (first // PART + 1) * PART - 1
        of_part.setdefault(first // PART, []).append(first)
    # What came before a break is not fetched again.
    assert all(firsts == sorted(firsts) for firsts in of_part.values())
    breaks = len(gigabyte.ranges) - 64
    assert 10 < breaks < 4 * GIGABYTE / LASTS


def test_broken_connections_cost_no_memory(gigabyte: Carried) -> None:
    assert gigabyte.copied.peak_mb < 300


def test_broken_connections_and_error_answers_of_r2_cost_no_more_than_what_they_hit(
    running: Json, cloudflare: httpx.Client, engine: Engine, proxy: Proxy, register: Register
) -> None:
    work, provider_recording = register(12 * PART - 1)
    proxy.faults = Faults(cut_every=LASTS, error_rate=0.1)

    plan, _ = tried(lambda: engine.task("plan_transfer", work))
    _, failures = tried(lambda: engine.task("copy_segment", work, plan.value, [1, 12]))
    finished(engine, work, plan.value)

    assert digest(running, plan.value["key"]) == provider_recording["sha256"]
    assert unfinished(running, "r2", work["recording_id"]) == []
    counts = proxy.counts()
    assert counts["cut"] >= 3
    assert counts.total() > counts["cut"]
    times = fetched(cloudflare, provider_recording)
    assert times.keys() == set(range(1, 13))
    # A part is fetched again only when the client has given up bringing it, which takes all its attempts.
    assert all(count <= 1 + proxy.faults_of_part(number) // ATTEMPTS for number, count in times.items()), times
    assert sum(times.values()) <= 12 + failures * THREADS


def test_a_store_that_asks_to_slow_down_is_asked_again(
    running: Json, cloudflare: httpx.Client, engine: Engine, proxy: Proxy, register: Register
) -> None:
    work, provider_recording = register(3 * PART)

    proxy.faults = Faults(slow_down=1)
    plan = engine.task("plan_transfer", work).value
    proxy.faults = Faults(slow_down=4)
    engine.task("copy_segment", work, plan, [1, 3])
    proxy.faults = Faults(slow_down=1)
    done = engine.task("complete_transfer", work, plan, checked=True).value
    proxy.faults = Faults(slow_down=1)
    facts = engine.task("verify_transfer", plan, done).value
    engine.call("tools.bench.transfer.inside:mark", work, plan["key"], facts)

    assert proxy.counts() == {SLOW_DOWN[1]: 7}
    assert fetched(cloudflare, provider_recording) == {1: 1, 2: 1, 3: 1}
    assert digest(running, plan["key"]) == provider_recording["sha256"]


@pytest.mark.parametrize("size", [PART - 1, 2 * PART], ids=["one request", "parts"])
def test_what_r2_did_and_could_not_say_is_found_done(
    running: Json, engine: Engine, proxy: Proxy, register: Register, size: int
) -> None:
    work, provider_recording = register(size)
    lost = ["PutObject"] if size < PART else ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]
    proxy.faults = Faults(lost=[*lost])
    plan = engine.task("plan_transfer", work).value
    engine.task("copy_segment", work, plan, [1, plan["segments"][-1][1]])
    done = engine.task("complete_transfer", work, plan, checked=True).value
    facts = engine.task("verify_transfer", plan, done).value
    engine.call("tools.bench.transfer.inside:mark", work, plan["key"], facts)
    assert proxy.counts() == {"cut": len(lost)}
    assert digest(running, plan["key"]) == provider_recording["sha256"]
    # Nor did the first upload, of which nobody was told, stay.
    assert unfinished(running, "r2", work["recording_id"]) == []


def test_a_small_file_is_read_back_over_connections_that_break(
    engine: Engine, proxy: Proxy, register: Register
) -> None:
    work, _ = register(PART - 1)
    plan = engine.task("plan_transfer", work).value
    engine.task("copy_segment", work, plan, [1, 1])
    done = engine.task("complete_transfer", work, plan, checked=True).value
    proxy.faults = Faults(cut_every=8_000_000)

    try:
        for _ in range(3):
            tried(lambda: engine.task("verify_transfer", plan, done))
    finally:
        proxy.faults = Faults()
        facts = engine.task("verify_transfer", plan, done).value
        engine.call("tools.bench.transfer.inside:mark", work, plan["key"], facts)


def test_a_wrong_bit_in_a_part_on_its_way_to_r2_is_refused_and_the_part_sent_again(
    running: Json, engine: Engine, proxy: Proxy, cloudflare: httpx.Client, register: Register
) -> None:
    work, provider_recording = register(3 * PART)
    plan = engine.task("plan_transfer", work).value
    proxy.faults = Faults(flips=[Flip("UploadPart", 5_000_000)])

    assert engine.task("copy_segment", work, plan, [1, 3]).value == 3
    assert proxy.counts() == {"flip": 1}
    assert Counter(call.operation for call in proxy.calls)["UploadPart"] == 4
    assert fetched(cloudflare, provider_recording) == {1: 1, 2: 1, 3: 1}

    finished(engine, work, plan)
    assert digest(running, plan["key"]) == provider_recording["sha256"]
    assert unfinished(running, "r2", work["recording_id"]) == []


@pytest.mark.parametrize("etag", ["parts", "md5", "opaque", "none"])
@pytest.mark.parametrize("size", [PART - 1, 3 * PART + 1], ids=["small", "parts"])
def test_a_wrong_bit_on_its_way_from_cloudflare_is_found_and_mended(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, size: int, etag: str
) -> None:
    settle(cloudflare, etag=etag)
    provider_recording = make(cloudflare, a_room(api)["cloudflare_meeting_id"], size=size, exact=True)
    fault(cloudflare, "media", "flip", recording_id=provider_recording["id"], at=size // 2, times=1)

    (row,) = sync(api)["recordings"]
    ready = in_status(api, row["id"], "ready")

    assert cloudflare.get("/faults").json()["data"][0]["times"] == 0
    assert downloaded(api, row["id"]) == provider_recording["sha256"]
    assert [one["status"] for one in ready["history"]] == ["recording", "processing", "ready"]
    assert unfinished(running, "r2", row["id"]) == []
    if size > PART:
        # Only the part that was wrong is read a third time, unless the second read makes the source's ETag.
        times = fetched(cloudflare, provider_recording)
        wanted = 2 if etag == "parts" else 3
        assert times[2] == wanted
        assert set(times.values()) == {2, wanted}


@pytest.mark.parametrize(("size", "parts"), [(12_000_000, 1), (20_000_000, 4)])
def test_what_its_etag_proves_is_read_once(api: httpx.Client, cloudflare: httpx.Client, size: int, parts: int) -> None:
    settle(cloudflare, etag="parts", part_mib=5)
    recording_id, made = imported(api, cloudflare, a_room(api), size=size, exact=True)
    in_status(api, recording_id, "ready")
    begins = [first for first, _ in ranges(cloudflare, made)]
    assert sorted(begins) == [number * 5 * MIB for number in range(parts)]
    assert downloaded(api, recording_id) == made["sha256"]


def test_a_wrong_bit_on_the_way_to_the_archive_is_found_and_r2_keeps_its_file(
    running: Json, engine: Engine, proxy: Proxy, register: Register
) -> None:
    work, provider_recording = register(2 * PART)
    plan = engine.task("plan_transfer", work).value
    engine.task("copy_segment", work, plan, [1, 2])
    finished(engine, work, plan)

    with Engine(running, "FinishArchive", R2_ENDPOINT=proxy.url) as archive:

        def moved() -> tuple[Json, Json]:
            planned = archive.task("plan_archive", work).value
            archive.task("copy_to_archive", work, planned, [1, 2])
            return planned, archive.task("complete_archive", work, planned, checked=True).value

        archive.call("tools.bench.transfer.inside:archive", work)
        archive.task("begin_archive", work)
        proxy.faults = Faults(flips=[Flip("GetObject", 7_000_000)])
        with pytest.raises(Failed, match="ChecksumMismatch"):
            moved()
        assert proxy.counts() == {"flip": 1}
        assert digest(running, plan["key"]) == provider_recording["sha256"]

        etag = stack.client(running, "r2").head_object(Bucket=running["buckets"]["r2"], Key=plan["key"])["ETag"]
        planned, done = moved()
        archive.task("finish_archive", work, planned, done)

    # Nobody can read it there. Of parts of the same size the same file makes the same ETag.
    vault = running["buckets"]["ArchiveBucket"]
    assert stack.client(running, "s3").head_object(Bucket=vault, Key=planned["key"])["ETag"] == etag
    assert unfinished(running, "s3", work["recording_id"]) == []


def test_a_killed_copy_goes_on_where_it_was(
    running: Json, cloudflare: httpx.Client, engine: Engine, proxy: Proxy, register: Register
) -> None:
    parts = 16
    work, provider_recording = register(parts * PART)
    plan = engine.task("plan_transfer", work).value
    proxy.faults = Faults(delay=0.002)
    with Engine(running, R2_ENDPOINT=proxy.url) as doomed:
        doomed.send("functions.workflow.copy_segment.app:copy_segment", work, plan, [1, parts])
        until(lambda: sum(call.operation == "UploadPart" for call in proxy.calls) > 6, every=0.02)
        doomed.process.kill()
        doomed.process.wait()
    proxy.faults = Faults()
    # What was on its way through the proxy is over.
    until(lambda: proxy.is_idle, every=0.02)

    copied = engine.task("copy_segment", work, plan, [1, parts]).value
    finished(engine, work, plan)

    assert digest(running, plan["key"]) == provider_recording["sha256"]
    assert unfinished(running, "r2", work["recording_id"]) == []
    times = fetched(cloudflare, provider_recording)
    assert max(times.values()) <= 2
    # At most those that were under way when it was killed, and those whose checksums waited for a full batch. The
    # latter are not sent again.
    assert sum(times.values()) <= parts + THREADS + BATCH - 1
    assert copied <= parts - (7 - THREADS)


@pytest.fixture
def deployed_behind(running: Json, proxy: Proxy) -> Iterator[None]:
    """The deployed functions of the processing workflow reach R2 through the proxy."""
    names = [
        running["functions"][one]
        for one in ("PlanTransfer", "CopySegment", "CompleteTransfer", "VerifyTransfer", "AbortTransfer")
    ]
    with functions.variables_set(stack.client(running, "lambda"), names, {"R2_ENDPOINT": proxy.url}):
        yield


@pytest.mark.usefixtures("deployed_behind")
def test_the_deployed_workflow_brings_a_recording_in_through_all_of_it(
    running: Json, api: httpx.Client, cloudflare: httpx.Client, proxy: Proxy
) -> None:
    proxy.faults = Faults(cut_every=LASTS, error_rate=0.1)
    cloudflare.post("/faults", json={"on": "media", "kind": "cut", "every_bytes": LASTS})

    recording_id, made = imported(api, cloudflare, a_room(api), size=6 * PART)
    ready = in_status(api, recording_id, "ready")

    assert proxy.counts().total() > 0
    assert [one["status"] for one in ready["history"]] == ["recording", "processing", "ready"]
    assert ready["size_bytes"] == made["size"]
    assert downloaded(api, recording_id) == made["sha256"]
    assert unfinished(running, "r2", recording_id) == []
    assert len(ranges(cloudflare, made)) >= math.ceil(made["size"] / PART)
