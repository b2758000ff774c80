"""Clients that two generators make of docs/openapi.yaml, type-checked and driven against the deployed API.

Each also meets a later version of the API: a server before the real one puts a new field into every object that is
answered, and a new code into a problem.
"""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.e2e.support import MAX_WAIT_SECONDS
from tools.local import stack
from tools.openapi import ROOT, generate

SOURCES = Path(__file__).parent / "generated"
NODE_PACKAGES = ROOT / "tools/node/node_modules"
# openapi-python-client and what its clients import.
PYTHON = ROOT / ".tools/openapi/bin"


class Later(BaseHTTPRequestHandler):
    """Passes requests on, and answers as a later version of the API would."""

    upstream: httpx.Client

    def do_GET(self) -> None:
        response = self.upstream.get(self.path, headers={"authorization": self.headers["authorization"]})
        document = response.json()
        if document.get("code") == "recording_not_found":
            document["code"] = "a_code_to_come"
        content = json.dumps(grown(document)).encode()
        self.send_response(response.status_code)
        self.send_header("content-type", response.headers["content-type"])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests' output is for what went wrong."""


def grown(value: Any) -> Any:
    """The document with a field more in every object of it."""
    match value:
        case dict():
            return {**{name: grown(one) for name, one in value.items()}, "new_field": {"of": ["a later", "version"]}}
        case list():
            return [grown(one) for one in value]
        case _:
            return value


@contextmanager
def later_version(api_url: str) -> Iterator[str]:
    """The address of the same API as it may answer one day."""
    with httpx.Client(base_url=api_url, timeout=MAX_WAIT_SECONDS) as upstream:
        handler = type("Handler", (Later,), {"upstream": upstream})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


def run(folder: Path, command: Sequence[str | Path], environment: Mapping[str, str]) -> str:
    """Run a step there; gives what it printed. What fails is told with all its output."""
    path = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=MAX_WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def typescript(folder: Path, document: Path, settings: Mapping[str, str]) -> str:
    """Generate, compile strictly and run in Node; gives the recording's id."""
    for name in ("drive.ts", "tsconfig.json"):
        shutil.copy(SOURCES / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE_PACKAGES)
    run(folder, [NODE_PACKAGES / ".bin/openapi-typescript", document, "--output", "openapi.ts"], {})
    run(folder, [NODE_PACKAGES / ".bin/tsc", "--project", "."], {})
    return run(folder, ["node", "drive.ts"], settings).strip()


def python(folder: Path, document: Path, settings: Mapping[str, str]) -> str:
    """Generate, type-check strictly and run in the generator's own environment; gives the recording's id."""
    shutil.copy(SOURCES / "drive.py", folder)
    # Nothing has to reformat what nobody reads.
    (folder / "generator.yaml").write_text("post_hooks: []\n")
    generator: list[str | Path] = [PYTHON / "openapi-python-client", "generate", "--fail-on-warning", "--meta", "none"]
    run(
        folder,
        [*generator, "--config", "generator.yaml", "--path", document, "--output-path", "recordings_api"],
        {},
    )
    mypy: list[str | Path] = [ROOT / ".venv/bin/mypy", "--strict", "--config-file=", "--cache-dir=.mypy_cache"]
    run(folder, [*mypy, "--python-executable", PYTHON / "python", "drive.py"], {})
    return run(folder, [PYTHON / "python", "drive.py"], settings).strip()


CLIENTS = {"openapi-typescript": typescript, "openapi-python-client": python}


@pytest.fixture(scope="module")
def driven(
    running: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[str, Future[str]]]]:
    """Both clients at once, each as a tenant of its own: the tenant, and what it prints in the end."""
    with later_version(running["api_url"]) as later_url, ThreadPoolExecutor(len(CLIENTS)) as pool:
        started = {}
        for name, drive in CLIENTS.items():
            tenant = f"generated-{uuid.uuid4().hex[:8]}"
            settings = {
                "api_url": running["api_url"],
                "later_url": later_url,
                "token": stack.token(running, tenant),
                "reader": stack.token(running, tenant, "recordings:read"),
            }
            folder = tmp_path_factory.mktemp(name)
            started[name] = tenant, pool.submit(drive, folder, generate.FILE, {"DRIVE": json.dumps(settings)})
        yield started


@pytest.mark.parametrize("name", CLIENTS)
def test_a_generated_client_leads_a_recording_through_its_life(
    name: str, running: dict[str, Any], driven: dict[str, tuple[str, Future[str]]]
) -> None:
    tenant, printed = driven[name]

    recording_id = printed.result()

    # What the client saw is what the API has.
    headers = {"authorization": f"Bearer {stack.token(running, tenant)}"}
    response = httpx.get(
        f"{running['api_url']}/api/v1/recordings/{recording_id}", headers=headers, timeout=MAX_WAIT_SECONDS
    )
    assert (response.status_code, response.json()["data"]["status"]) == (200, "archived")
