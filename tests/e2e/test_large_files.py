"""A file larger than a function's memory, and than one function's share of the work, comes whole."""

from functools import partial

import httpx
import pytest

from tests.e2e.support import MAX_WAIT_SECONDS, Json, scanned, tried
from tests.support.sink import Sink
from tools.bench.transfer.engine import Engine

MIB = 1024 * 1024
SIZE = 5_000_000_000
# What all processes of a copy together fetch in the time a test may take, on a slow machine.
MINUTES = 30


@pytest.mark.timeout(MINUTES * 60)
def test_five_gigabytes_arrive_whole_in_constant_memory(running: Json, cloudflare: httpx.Client) -> None:
    """R2 is a sink that hashes what comes: the emulator would hold the file in memory twice."""
    provider_recording = cloudflare.post("/recordings", json={"size": SIZE}, timeout=MAX_WAIT_SECONDS).json()["data"]
    with Sink() as sink, Engine(running, R2_ENDPOINT=sink.url) as engine:
        work = engine.call(
            "tools.bench.transfer.inside:register", "large", provider_recording["meeting_id"], provider_recording["id"]
        ).value
        planned, refused = tried(lambda: engine.task("plan_transfer", work))
        plan = planned.value
        copies = [tried(partial(engine.task, "copy_segment", work, plan, each)) for each in plan["segments"]]
        done = tried(lambda: engine.task("complete_transfer", work, plan, checked=False))[0].value
        facts = tried(lambda: engine.task("verify_transfer", plan, done))[0].value
        (row,) = [one for one in scanned(running, of=work["recording_id"]) if "progress" in one]
        progress = {name: int(row["progress"]["M"][name]["N"]) for name in ("bytes_done", "bytes_total")}
        engine.call("tools.bench.transfer.inside:mark", work, plan["key"], facts)

        copied = [response for response, _ in copies]
        interrupted = any(failures for _, failures in copies)
        # Three functions each did a share. A task that was repeated did what was left.
        assert interrupted or [one.value for one in copied] == [128, 128, 43]
        # Each checksum was written once, with others.
        assert interrupted or sum(one.calls["dynamodb.BatchedItem"] for one in copied) == 299
        assert done["verified"]
        assert (sink.size, sink.sha256) == (SIZE, provider_recording["sha256"])
        assert (facts["size"], facts["content_type"], facts["etag"]) == (SIZE, "video/mp4", sink.etag)
        assert facts["crc32"] is not None
        assert progress == {"bytes_done": SIZE, "bytes_total": SIZE}
        assert max(one.peak_mb for one in copied) < 300
    # Each byte was fetched once, but for the one that measures the file.
    calls = cloudflare.get("/requests").json()["data"]
    ranges = [
        call["range"] for call in calls if call["operation"] == "media" and provider_recording["id"] in call["path"]
    ]
    assert len(set(ranges)) == 1 + 299
    assert interrupted or len(ranges) == 1 + 299 + refused
