"""What an import of the frame costs: no slow module of pydantic, and no validator that the function does not use."""

import subprocess
import sys

from tests.support.template import ROOT

PROGRAM = """
import sys
from recordings.http import events, problems, requests
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.responses import actions, downloads, recordings, rooms

@endpoint(scope="recordings:write", body=requests.StartRecordingBody)
def handler(request: Request) -> Response[actions.StartedRecordingResponse]: ...

modules = (events, problems, requests, actions, downloads, recordings, rooms)
models = {model for module in modules for model in vars(module).values() if hasattr(model, "__pydantic_complete__")}
print(*sorted(model.__name__ for model in models if model.__pydantic_complete__))
print(*sorted({"pydantic.networks", "pydantic.root_model", "pydantic.dataclasses"} & sys.modules.keys()))
"""


def test_only_the_models_of_an_endpoint_are_built_at_import() -> None:
    environment = {
        "PYTHONPATH": str(ROOT / "layers/recordings"),
        "POWERTOOLS_SERVICE_NAME": "recordings",
        "POWERTOOLS_METRICS_NAMESPACE": "Recordings",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    built, slow = done.stdout.splitlines()
    assert built.split() == ["NoQuery", "StartRecordingBody", "StartedRecordingResponse"]
    assert slow == ""
