"""The stand-in lies as it is told to, and only then."""

import base64
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto import mock_aws

from tests.e2e.support import until
from tests.support.standin import serving
from tools.local.standin.cloudflare import TOKEN

type Json = dict[str, Any]
FILE = bytes(range(256)) * 8


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("standin")) as address:
        yield address


class Standin:
    """The control API and RealtimeKit's, as a test sees them."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def control(self, method: str, path: str, *, ok: bool = True, **more: Any) -> requests.Response:
        response = requests.request(method, f"{self.origin}/_control{path}", timeout=20, **more)
        assert response.ok is ok, response.text
        return response

    def api(self, method: str, path: str, **more: Any) -> requests.Response:
        url = f"{self.origin}/client/v4/accounts/a/realtime/kit/app{path}"
        return requests.request(method, url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20, **more)

    def row(self, recording_id: str) -> Json:
        found: Json = self.api("GET", f"/recordings/{recording_id}").json()["data"]
        return found

    def listed(self, meeting_id: str | None = None) -> list[Any]:
        rows: list[Any] = self.api("GET", "/recordings", params={"meeting_id": meeting_id}).json()["data"]
        return rows

    def given(self, content: bytes = FILE, **query: str) -> str:
        """The id of an UPLOADED recording whose file these bytes are."""
        made: Json = self.control("POST", "/recordings", json={}).json()["data"]
        self.control("PUT", f"/recordings/{made['id']}/file", data=content, params=query)
        return str(made["id"])

    def started(self, **more: Any) -> tuple[str, str]:
        """A meeting and a recording of it that was just asked for."""
        meeting = self.api("POST", "/meetings", json={"title": "one"}).json()["data"]["id"]
        return meeting, self.api("POST", "/recordings", json={"meeting_id": meeting, **more}).json()["data"]["id"]


@pytest.fixture
def standin(origin: str) -> Standin:
    requests.post(f"{origin}/_control/reset", timeout=20)
    return Standin(origin)


def fetched(url: str, range_: str | None = None) -> requests.Response:
    return requests.get(url, headers={"Range": f"bytes={range_}"} if range_ else {}, timeout=20)


# ------------------------------------------------------------ the file


@pytest.mark.parametrize("content", [b"", b"\x00", FILE])
def test_a_file_has_the_bytes_of_the_test(standin: Standin, content: bytes) -> None:
    made = standin.given(content, content_type="text/html")
    row = standin.row(made)
    response = fetched(row["download_url"])
    assert (response.content, response.headers["Content-Type"]) == (content, "text/html")
    assert row["file_size"] == len(content)
    reported = standin.control("GET", f"/recordings/{made}").json()["data"]
    assert (reported["size"], reported["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert response.headers["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'


def test_bytes_set_during_the_recording_are_its_file(standin: Standin) -> None:
    _, made = standin.started()
    standin.control("PUT", f"/recordings/{made}/file", data=FILE)
    standin.control("POST", f"/recordings/{made}/status", json={"status": "UPLOADED"})
    row = standin.row(made)
    assert fetched(row["download_url"], "256-511").content == FILE[256:512]
    assert row["recording_duration"] == 1


def test_a_replaced_file_has_another_etag_at_the_same_url(standin: Standin) -> None:
    made = standin.given()
    url, standing = standin.row(made)["download_url"], standin.row(made)["recording_duration"]
    before = fetched(url)
    standin.control("PUT", f"/recordings/{made}/file", data=FILE[1:])
    after = fetched(url)
    assert after.content == FILE[1:]
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.headers["Last-Modified"] != before.headers["Last-Modified"]
    assert standin.row(made)["recording_duration"] == standing


def test_a_generated_file_replaces_a_given_one(standin: Standin) -> None:
    made = standin.given()
    standin.control("PATCH", f"/recordings/{made}", json={"changed": True}, ok=False)
    standin.control("PATCH", f"/recordings/{made}", json={"size": 5000, "exact": True})
    content = fetched(standin.row(made)["download_url"]).content
    assert len(content) == 5000
    assert FILE not in content


# ------------------------------------------------------------ what is announced, and raw fields


def test_what_is_announced_need_not_be_true(standin: Standin) -> None:
    made = standin.given()
    truth = standin.row(made)
    announced = {"size": 10**18, "duration": -5, "expiry": "0001-01-01T00:00:00Z", "status": ["UPLOADED"]}
    standin.control("PATCH", f"/recordings/{made}", json={"announced": announced})
    reported = standin.row(made)
    keys = ("file_size", "recording_duration", "download_url_expiry", "status")
    assert [reported[key] for key in keys] == [10**18, -5, "0001-01-01T00:00:00Z", ["UPLOADED"]]
    assert fetched(reported["download_url"]).content == FILE
    standin.control("PATCH", f"/recordings/{made}", json={"announced": {}})
    assert standin.row(made) == truth


def test_a_test_can_set_any_field_of_a_row(standin: Standin) -> None:
    made = standin.given()
    truth = standin.row(made)
    raw = {"id": None, "status": ["UPLOADED"], "download_url": ["https://a", "https://b"], "odd": {"any": 1}}
    standin.control("PATCH", f"/recordings/{made}", json={"raw": raw, "raw_without": ["file_size"]})
    reported = standin.row(made)
    assert reported == {key: value for key, value in truth.items() if key != "file_size"} | raw
    assert standin.listed()[0]["odd"] == {"any": 1}
    standin.control("PATCH", f"/recordings/{made}", json={"raw": {}, "raw_without": []})
    assert standin.row(made) == truth


def test_rows_can_have_numbers_that_json_does_not_allow(standin: Standin) -> None:
    made = standin.given()
    body = '{"raw": {"file_size": NaN, "recording_duration": 1e400, "big": 1' + "0" * 400 + "}}"
    standin.control("PATCH", f"/recordings/{made}", data=body)
    reported = standin.row(made)
    assert math.isnan(reported["file_size"])
    assert (reported["recording_duration"], reported["big"]) == (math.inf, 10**400)


def test_raw_fields_can_differ_between_reads(standin: Standin) -> None:
    made = standin.given()
    looks: Json = {"raw": [{"download_url": None}, {"status": "RECORDING"}, {}], "raw_in": ["get"]}
    standin.control("PATCH", f"/recordings/{made}", json=looks)
    assert standin.listed()[0]["download_url"] is not None
    seen = [standin.row(made) for _ in range(4)]
    assert [one["download_url"] is None for one in seen] == [True, False, False, False]
    assert [one["status"] for one in seen] == ["UPLOADED", "RECORDING", "UPLOADED", "UPLOADED"]


def test_rows_without_a_recording_are_listed(standin: Standin) -> None:
    made = standin.given()
    meeting = standin.control("GET", f"/recordings/{made}").json()["data"]["meeting_id"]
    for row, more in (({"status": "UPLOADED"}, {"meeting_id": meeting}), ("no row", {"age_seconds": 3600})):
        standin.control("POST", "/rows", json={"row": row, **more})
    ids = [one.get("id") if isinstance(one, dict) else one for one in standin.listed()]
    assert ids == [None, made, "no row"]
    assert len(standin.listed(meeting)) == 2
    rows = standin.control("GET", "/rows").json()["data"]
    assert rows == [{"row": {"status": "UPLOADED"}, "meeting_id": meeting}, {"row": "no row", "meeting_id": None}]
    standin.control("DELETE", "/rows")
    assert len(standin.listed()) == 1


# ------------------------------------------------------------ what is not there yet


def test_reads_can_lag_behind_a_start(standin: Standin) -> None:
    standin.control("POST", "/settings", json={"read_lag": 3600})
    meeting, made = standin.started()
    assert standin.api("GET", f"/recordings/{made}").status_code == 404
    assert standin.api("GET", f"/recordings/active-recording/{meeting}").status_code == 404
    assert standin.listed() == []
    stopped = standin.api("PUT", f"/recordings/{made}", json={"action": "stop"})
    assert stopped.json()["data"]["status"] == "UPLOADING"


def test_a_recording_can_be_hidden_from_some_reads(standin: Standin) -> None:
    _, made = standin.started()
    standin.control("PATCH", f"/recordings/{made}", json={"hidden": ["get"]})
    assert standin.api("GET", f"/recordings/{made}").status_code == 404
    assert [row["id"] for row in standin.listed()] == [made]
    standin.control("PATCH", f"/recordings/{made}", json={"hidden": []})
    assert standin.row(made)["id"] == made


def test_the_first_read_can_be_a_404(standin: Standin) -> None:
    meeting, made = standin.started()
    fault = {"on": "get", "kind": "answer", "status": 404, "times": 1, "meeting_id": meeting}
    standin.control("POST", "/faults", json=fault)
    assert [standin.api("GET", f"/recordings/{made}").status_code for _ in range(2)] == [404, 200]


# ------------------------------------------------------------ answers of the file's URL


def test_the_url_returns_the_given_responses_and_then_the_file(standin: Standin) -> None:
    made = standin.given()
    page = {"body": "<html>please</html>", "headers": {"Content-Type": "text/html"}, "times": 2}
    gone = {"status": 503, "headers": {"Retry-After": "1"}, "body_base64": base64.b64encode(b"\xff").decode()}
    standin.control("PATCH", f"/recordings/{made}", json={"answers": [page, gone]})
    url = standin.row(made)["download_url"]
    seen = [fetched(url) for _ in range(4)]
    assert [one.status_code for one in seen] == [200, 200, 503, 200]
    assert [one.content for one in seen] == [b"<html>please</html>"] * 2 + [b"\xff", FILE]
    assert seen[0].headers["Content-Type"] == "text/html"
    assert seen[2].headers["Retry-After"] == "1"


def test_the_file_can_be_half_at_one_look_and_whole_at_the_next(standin: Standin) -> None:
    made = standin.given()
    lies = {"answers": [{"first_bytes": len(FILE) // 2}], "answers_each": "look"}
    standin.control("PATCH", f"/recordings/{made}", json=lies)
    url, half = standin.row(made)["download_url"], len(FILE) // 2
    first = fetched(url, "0-0")
    assert first.headers["Content-Range"] == f"bytes 0-0/{half}"
    assert fetched(url, f"0-{half - 1}").content == FILE[:half]
    assert fetched(url, f"{half}-").status_code == 416
    assert fetched(url).content == FILE[:half]
    assert first.headers["ETag"] == f'"{hashlib.md5(FILE[:half]).hexdigest()}"'
    second = fetched(url, "0-0")
    assert second.headers["Content-Range"] == f"bytes 0-0/{len(FILE)}"
    assert fetched(url).content == FILE


def test_a_range_can_lack_its_total_and_an_etag_can_be_weak(standin: Standin) -> None:
    made = standin.given()
    lies: Json = {"answers": [{"total_known": False}, {"weak_etag": True}], "answers_cycle": True}
    standin.control("PATCH", f"/recordings/{made}", json=lies)
    url = standin.row(made)["download_url"]
    seen = [fetched(url, "0-0").headers for _ in range(4)]
    total = len(FILE)
    assert [one["Content-Range"] for one in seen] == ["bytes 0-0/*", f"bytes 0-0/{total}"] * 2
    assert [one["ETag"].startswith("W/") for one in seen] == [False, True] * 2


def test_headers_of_the_file_can_be_replaced_or_removed(standin: Standin) -> None:
    made = standin.given()
    response = {"headers": {"etag": None, "Content-Range": "bytes 0-0/*"}, "times": None}
    standin.control("PATCH", f"/recordings/{made}", json={"answers": [response]})
    url = standin.row(made)["download_url"]
    for _ in range(3):
        reported = fetched(url, "0-0")
        assert (reported.content, reported.headers["Content-Range"]) == (FILE[:1], "bytes 0-0/*")
        assert "ETag" not in reported.headers


@pytest.mark.parametrize(
    "lie",
    [
        {"announced": {"length": 1}},
        {"raw": "text"},
        {"raw": [1]},
        {"raw_in": ["webhook"]},
        {"hidden": ["everywhere"]},
        {"answers": [{"code": 200}]},
        {"answers": [{"body_base64": "*"}]},
        {"answers_each": "year"},
    ],
)
def test_a_malformed_lie_is_rejected_and_changes_nothing(standin: Standin, lie: Json) -> None:
    made = standin.given()
    truth = standin.row(made)
    refused = standin.control("PATCH", f"/recordings/{made}", json=lie | {"raw_without": ["id"]}, ok=False)
    assert refused.status_code == 400
    assert standin.row(made) == truth
    assert fetched(truth["download_url"]).content == FILE


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("/faults", {"on": "get"}, 400, id="fault without a kind"),
        pytest.param("/faults", {"kind": "answer"}, 400, id="fault without an operation"),
        pytest.param("/webhooks/resend", {}, 400, id="webhook without a recording"),
        pytest.param("/webhooks/resend", {"recording_id": "none"}, 404, id="webhook of an unknown recording"),
    ],
)
def test_a_malformed_control_call_is_a_400_or_404(standin: Standin, path: str, body: Json, status: int) -> None:
    assert standin.control("POST", path, json=body, ok=False).status_code == status


# ------------------------------------------------------------ deliveries


def test_only_a_recording_started_with_a_bucket_can_be_delivered(standin: Standin) -> None:
    made = standin.given()
    assert standin.control("POST", f"/recordings/{made}/deliver", json={}, ok=False).status_code == 400


def delivered() -> list[bytes]:
    s3 = boto3.client("s3", region_name="us-east-1")
    found = s3.list_objects_v2(Bucket="files").get("Contents", [])
    return [s3.get_object(Bucket="files", Key=one["Key"])["Body"].read() for one in found]


@pytest.mark.parametrize("seconds", [None, 0.01])
def test_a_delivery_can_come_after_uploaded(tmp_path: Path, seconds: float | None) -> None:
    with mock_aws(), serving(tmp_path, "https://s3.amazonaws.com") as origin:
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="files")
        standin = Standin(origin)
        standin.control("POST", "/settings", json={"own_bucket": "late", "delivery_seconds": seconds})
        config = {"type": "cloudflare", "access_key": "id", "secret": "key", "bucket": "files", "path": "folder"}
        _, made = standin.started(storage_config=config)
        standin.control("PUT", f"/recordings/{made}/file", data=FILE)
        standin.control("POST", f"/recordings/{made}/status", json={"status": "UPLOADED"})
        if seconds is None:
            assert (standin.row(made)["status"], delivered()) == ("UPLOADED", [])
            standin.control("POST", f"/recordings/{made}/deliver", json={"first_bytes": 100})
            assert delivered() == [FILE[:100]]
            standin.control("POST", f"/recordings/{made}/deliver", json={})
        assert until(delivered, seconds=20) == [FILE]
