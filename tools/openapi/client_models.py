"""Write the Python client's models from docs/openapi.yaml: `python -m tools.openapi.client_models [--check]`.

The generator is datamodel-code-generator, in its own environment. Its options are in clients/python/pyproject.toml.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tools.openapi import ROOT

type Schema = dict[str, Any]

GENERATOR: Final = ROOT / ".tools/openapi/bin/datamodel-codegen"
PROJECT: Final = ROOT / "clients/python"
FILE: Final = PROJECT / "src/recordings_client/generated.py"
SOURCE: Final = ROOT / "docs/openapi.yaml"
STATUS: Final = "Status"
PREFIX: Final = "#/components/schemas/"

# The components that the client returns, and its names for them. Requests, envelopes and problems have no model.
MODELS: Final[Mapping[str, str]] = {
    "Status": "Status",
    "Access": "Access",
    "Actor": "Actor",
    "Archive": "Archive",
    "ArchivedRecording": "Archived",
    "Blocker": "ActiveRecording",
    "StatusChange": "Change",
    "DeletedRecording": "Deleted",
    "Download": "Download",
    "Failure": "Failure",
    "FieldError": "FieldError",
    "Progress": "Progress",
    "Recording": "Recording",
    "RecordingRow": "RecordingSummary",
    "RecoveringRecording": "Recovering",
    "RestoringRecording": "Restoring",
    "Room": "Room",
    "RoomReference": "RoomName",
    "StartedRecording": "Started",
    "StoppedRecording": "Stopped",
    "SyncResult": "Synced",
    "SyncedRecording": "RecordingStatus",
}


def open_schema(schema: Any, components: Mapping[str, Schema]) -> Any:
    """Return the schema without closed lists of values, and with every component inline that is no model.

    Responses are open: a client must read a value that a later version of the API adds.
    """
    if isinstance(schema, list):
        return [open_schema(item, components) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if (name := str(schema.get("$ref", "")).removeprefix(PREFIX)) and name not in MODELS:
        return open_schema(
            {**components[name], **{key: value for key, value in schema.items() if key != "$ref"}}, components
        )
    opened = {key: open_schema(value, components) for key, value in schema.items() if key not in ("enum", "const")}
    if isinstance(properties := schema.get("properties"), dict) and _is_closed(properties.get("status")):
        opened["properties"]["status"] = {"$ref": PREFIX + STATUS} | _description(properties["status"])
    return opened


def _is_closed(schema: object) -> bool:
    """Whether it is a recording's status limited to the values that one response can have."""
    return isinstance(schema, dict) and schema.get("type") == "string" and ("enum" in schema or "const" in schema)


def _description(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key == "description"}


def models_document(document: Schema) -> Schema:
    """Return an OpenAPI document that has only the components of `MODELS`.

    Raises:
        KeyError: the document has no component of that name any more
    """
    components: Mapping[str, Schema] = document["components"]["schemas"]
    schemas = {name: open_schema(components[name], components) for name in MODELS}
    schemas[STATUS] = components[STATUS]
    return {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "paths": {},
        "components": {"schemas": schemas},
    }


def generate(description: str) -> str:
    """Return the text of the module for an OpenAPI description in YAML.

    Raises:
        KeyError: the description lacks a component of `MODELS`
        RuntimeError: the generator failed
    """
    document = models_document(yaml.safe_load(description))
    done = subprocess.run(
        [GENERATOR, "--model-name-map", json.dumps(MODELS)],
        input=json.dumps(document),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    # A formatter that fails leaves unformatted text, and says so.
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"datamodel-codegen failed: {done.stderr.strip()}")
    return done.stdout


def main(arguments: Sequence[str], *, source: Path = SOURCE, file: Path = FILE) -> int:
    """Write the module, or only report whether it is current. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.openapi.client_models", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    check = parser.parse_args(arguments).check
    text = generate(source.read_text("utf-8"))
    if not check:
        file.write_text(text, "utf-8")
    elif not file.exists() or file.read_text("utf-8") != text:
        print(f"{file.name} is out of date: run make client-models", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
