"""The Python client's models are generated from the OpenAPI description, opened for values that later versions add."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.openapi import client_models
from tools.openapi.client_models import MODELS, PREFIX, main, models_document, open_schema


@pytest.fixture(scope="module")
def description() -> Any:
    return yaml.safe_load(client_models.SOURCE.read_text("utf-8"))


def test_a_changed_description_makes_the_models_out_of_date(
    description: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = copy.deepcopy(description)
    changed["components"]["schemas"]["Room"]["properties"]["colour"] = {"type": "string", "description": "A name."}
    source, file = tmp_path / "openapi.yaml", tmp_path / "generated.py"
    # JSON is YAML too, and quicker to read.
    source.write_text(json.dumps(changed))
    shutil.copyfile(client_models.FILE, file)

    assert main(["--check"], source=source, file=file) == 1
    assert "run make client-models" in capsys.readouterr().err
    assert main([], source=source, file=file) == 0
    assert '    colour: str | None = None\n    """A name."""' in file.read_text()


def test_a_component_that_is_gone_is_an_error(description: Any) -> None:
    schemas = {name: schema for name, schema in description["components"]["schemas"].items() if name != "Progress"}

    with pytest.raises(KeyError, match="Progress"):
        models_document({**description, "components": {"schemas": schemas}})


def test_no_model_has_a_closed_list_of_values_but_the_open_status(description: Any) -> None:
    schemas = models_document(description)["components"]["schemas"]

    assert schemas.keys() == MODELS.keys()
    assert schemas.pop("Status")["enum"]
    text = json.dumps(schemas)
    assert '"enum"' not in text
    assert '"const"' not in text


def test_the_status_of_one_response_is_any_status() -> None:
    schema = {"type": "object", "properties": {"status": {"type": "string", "const": "ready", "description": "Now."}}}

    assert open_schema(schema, {})["properties"]["status"] == {"$ref": f"{PREFIX}Status", "description": "Now."}


def test_a_component_that_is_no_model_stands_where_it_is_used() -> None:
    components = {"Store": {"type": "string", "enum": ["r2", "s3"], "description": "Where the file is."}}
    schema = {"anyOf": [{"$ref": f"{PREFIX}Store", "description": "Where it was."}, {"type": "null"}]}

    assert open_schema(schema, components) == {
        "anyOf": [{"type": "string", "description": "Where it was."}, {"type": "null"}]
    }
