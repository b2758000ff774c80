"""Annotations of the X-Ray trace, as the daemon receives them."""

import io
import json
import socket
import time
from collections.abc import Iterator

import pytest

from recordings.observability import identify, invocation, logger
from recordings.tracing import annotate
from tests.support.context import Context

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=557abcec3ee5a047;Sampled=1;Lineage=1:a87bd80c:0"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
        place.bind(("127.0.0.1", 0))
        place.setblocking(False)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{place.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
        yield place


def test_an_invocation_annotates_its_trace_with_its_ids(daemon: socket.socket) -> None:
    before = time.time()

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, str], context: Context) -> None:
        with invocation(context):
            identify(tenant_id="acme", recording_id="rec_1")

    handler({}, Context())
    # A datagram on loopback is readable as soon as it is sent.
    header, segment = (json.loads(part) for part in daemon.recv(65536).split(b"\n", 1))
    assert header == {"format": "json", "version": 1}
    assert segment["annotations"] == {"tenant_id": "acme", "recording_id": "rec_1"}
    assert (segment["trace_id"], segment["parent_id"]) == ("1-5759e988-bd862e3fe1be46a994272793", "557abcec3ee5a047")
    assert (segment["type"], len(segment["id"])) == ("subsegment", 16)
    assert before <= segment["start_time"] <= segment["end_time"] <= time.time()


@pytest.mark.parametrize("trace", [TRACE.replace("Sampled=1", "Sampled=0"), "", "Sampled=1", "nonsense"])
def test_nothing_is_sent_for_an_invocation_that_is_not_sampled(
    daemon: socket.socket, monkeypatch: pytest.MonkeyPatch, trace: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    annotate({"tenant_id": "acme"}, started_at=0)
    with pytest.raises(BlockingIOError):
        daemon.recv(1)


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1:none"])
def test_an_unreachable_daemon_is_no_error(
    daemon: socket.socket, monkeypatch: pytest.MonkeyPatch, address: str, log: io.StringIO
) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    annotate({"tenant_id": "acme"}, started_at=0)
    assert log.getvalue() == ""
