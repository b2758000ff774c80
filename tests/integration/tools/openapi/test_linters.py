"""The two linters that `make check` runs over docs/openapi.yaml: what they let through, and what they do not."""

import copy
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.openapi import ROOT, generate

type Document = dict[str, Any]

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
LINES = {
    "redocly": "lint --config tools/openapi/redocly.yaml docs/openapi.yaml",
    "spectral": "lint --ruleset tools/openapi/spectral.yaml --fail-severity hint docs/openapi.yaml",
}
OFFLINE = {
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "NODE_OPTIONS": "--require=./tools/node/offline.cjs",
}
# YAML 1.1 reads `off` as false.
OFF = {
    path: [rule for rule, level in yaml.safe_load((ROOT / path).read_text("utf-8"))["rules"].items() if level is False]
    for path in ("tools/openapi/redocly.yaml", "tools/openapi/spectral.yaml")
}


def lint(tool: str, document: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a linter as `make check` does, over another document."""
    line = [str(document) if word == "docs/openapi.yaml" else word for word in LINES[tool].split()]
    path = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [ROOT / "tools/node/node_modules/.bin" / tool, *line, "--format=json", *more],
        cwd=ROOT,
        env={**os.environ, **OFFLINE, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def broken() -> Document:
    """The document with one fault of each kind that a client has met."""
    made: Document = copy.deepcopy(yaml.safe_load(generate.FILE.read_text("utf-8")))
    del made["info"]["license"]
    room, recordings = made["paths"]["/api/v1/rooms/{id}"], made["paths"]["/api/v1/recordings"]
    # A closed answer, an open request.
    made["components"]["schemas"]["Room"]["additionalProperties"] = False
    del made["components"]["schemas"]["PutRoomBody"]["additionalProperties"]
    # Two media types, and a choice of exactly one.
    message = {
        "schema": {"$ref": "#/components/schemas/GatewayMessage"},
        "examples": {"g": {"value": {"message": "x"}}},
    }
    made["components"]["responses"]["InternalError"]["content"]["application/json"] = message
    responses = made["components"]["responses"]
    schema = responses["RoomNotFound"]["content"]["application/problem+json"]["schema"]
    schema["oneOf"] = schema.pop("anyOf")
    # An example that does not fit, and none at all.
    example = room["get"]["responses"]["200"]["content"]["application/json"]["examples"]["room"]
    example["value"]["data"]["record_on_start"] = "no"
    del recordings["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    del recordings["get"]["parameters"][0]["example"]
    # A scope that the scheme does not have.
    recordings["get"]["security"] = [{"AccessToken": ["recordings:all"]}]
    # An answer that names no request.
    del room["get"]["responses"]["200"]["headers"]
    return made


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lint") / "openapi.yaml"
    path.write_text(json.dumps(broken()), "utf-8")
    return path


def test_make_check_runs_both_linters_offline() -> None:
    (settings,) = (line for line in MAKEFILE.splitlines() if line.startswith("OFFLINE :="))
    assert settings.split()[2:] == [f"{name}={value}" for name, value in OFFLINE.items()]
    for tool, line in LINES.items():
        assert f"\t$(OFFLINE) $(NODE_BIN)/{tool} {line}\n" in MAKEFILE


def test_redocly_refuses_what_a_client_cannot_rely_on(faulty: Path) -> None:
    run = lint("redocly", faulty)
    assert run.returncode == 1, run.stderr
    found = {one["ruleId"] for one in json.loads(run.stdout)["problems"]}
    assert found == {
        "info-license",
        "no-invalid-media-type-examples",
        "response-contains-header",
        "security-scopes-defined",
    }


def test_spectral_refuses_what_a_client_cannot_rely_on(faulty: Path) -> None:
    run = lint("spectral", faulty)
    assert run.returncode == 1, run.stderr
    found = {one["code"] for one in json.loads(run.stdout)}
    assert found == {
        "info-license",
        "license-url",
        "oas3-valid-media-example",
        "oas3-operation-security-defined",
        "one-media-type-per-status",
        "answers-are-open",
        "answers-say-any-of",
        "requests-are-closed",
        "every-parameter-has-an-example",
        "every-body-has-examples",
    }


@pytest.mark.parametrize("path", OFF)
def test_every_excused_rule_has_its_reason(path: str) -> None:
    lines = (ROOT / path).read_text("utf-8").splitlines()
    assert OFF[path]
    for rule in OFF[path]:
        before = lines[lines.index(f"  {rule}: off") - 1]
        assert before.startswith("  # "), rule
        assert len(before) > 40, rule


def test_a_check_cannot_reach_the_network() -> None:
    program = (
        "fetch('http://127.0.0.1:8080').catch(error => { console.log(error.cause.message); process.exitCode = 3 })"
    )
    run = subprocess.run(
        [ROOT / ".venv/bin/node", "-e", program],
        cwd=ROOT,
        env={**os.environ, **OFFLINE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout.strip()) == (3, "this check must not use the network")
