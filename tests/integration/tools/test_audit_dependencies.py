"""The audit of dependencies finds advisories, and never takes silence for safety."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools.audit_dependencies import Exit, main, pins

PIN = "six==1.17.0 --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274\n"
LOCK = {
    "name": "x",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "": {"name": "x", "dependencies": {"left-pad": "1.3.0"}},
        "node_modules/left-pad": {"version": "1.3.0", "integrity": "sha512-AAAA"},
    },
}
OSV = {
    "id": "PYSEC-1",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "bad",
    "affected": [
        {
            "package": {"name": "six", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.18.0"}]}],
        }
    ],
}
NPM = {
    "left-pad": [
        {
            "id": 1,
            "url": "x",
            "title": "bad",
            "severity": "high",
            "vulnerable_versions": "<=1.3.0",
            "cwe": [],
            "cvss": {"score": 0, "vectorString": None},
        }
    ]
}


@contextmanager
def advisories(osv: dict[str, Any] | None, npm: dict[str, Any] | None) -> Iterator[str]:
    """Serve both kinds of advisories. With None a service is down."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            document = osv if self.path.startswith("/osv") else npm
            body = json.dumps(document).encode()
            self.send_response(200 if document is not None else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "requirements-x.txt").write_text(PIN)
    (tmp_path / "package-lock.json").write_text(json.dumps(LOCK))
    (tmp_path / "package.json").write_text(json.dumps(LOCK["packages"][""]))  # type: ignore[index]
    return ["--requirements", str(tmp_path / "requirements-x.txt"), "--node", str(tmp_path)]


def run(arguments: list[str], url: str) -> int:
    return main([*arguments, "--osv-url", f"{url}/osv", "--npm-registry", url])


def test_pins_without_advisories_are_clean(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with advisories({}, {}) as url:
        assert run(arguments, url) == Exit.CLEAN
    assert capsys.readouterr().out.splitlines() == [
        "requirements-x.txt: 1 packages, 0 advisories",
        "package-lock.json: 1 packages, 0 advisories",
    ]


def test_advisories_are_named_and_fail(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with advisories({"vulns": [OSV]}, NPM) as url:
        assert run(arguments, url) == Exit.FOUND
    assert capsys.readouterr().out.splitlines() == [
        "requirements-x.txt: six 1.17.0: PYSEC-1, fixed in 1.18.0",
        "requirements-x.txt: 1 packages, 1 advisories",
        "package-lock.json: left-pad: bad (high)",
        "package-lock.json: 1 packages, 1 advisories",
    ]


def test_advisories_that_cannot_be_read_are_no_clean_result(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with advisories(None, None) as url:
        assert run(arguments, url) == Exit.INCOMPLETE
    errors = capsys.readouterr().err
    for name in ("requirements-x.txt", "package-lock.json"):
        assert f"{name}: the advisories could not be read:" in errors


def test_every_file_of_pins_is_audited() -> None:
    assert {path.name for path in pins()} == {
        "requirements-dev.txt", "requirements-sam.txt", "requirements-gates.txt", "requirements-openapi.txt",
        "requirements-audit.txt", "requirements.txt",
    }  # fmt: skip
