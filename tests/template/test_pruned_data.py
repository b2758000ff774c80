"""The dependencies layer has all of botocore's data that the functions need, and nothing of other services.

The tests prune a copy of the botocore that is installed here, which has the version of the layer.
"""

import ast
import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.session import Session

from tests.support.template import ROOT

LAYER = ROOT / "layers/dependencies"
INSTALLED = Path(botocore.__file__).parent / "data"
REGIONS = ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "auto")


def services() -> set[str]:
    """The services that the layer keeps, from its Makefile."""
    found = re.search(r"^SERVICES := (.*)$", (LAYER / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    return set(found[1].split())


def clients_in_code() -> Iterator[str]:
    """The name of each service that the functions and their layer create a client of."""
    for path in (*ROOT.glob("layers/recordings/**/*.py"), *ROOT.glob("functions/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            function = ast.unparse(node.func)
            if function.endswith("create_client") and node.args:
                (name, *_) = node.args
                if isinstance(name, ast.Constant):
                    yield str(name.value)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """botocore's data as the layer's Makefile prunes it; EC2 stands for the services that are not ours."""
    folder = tmp_path_factory.mktemp("packages")
    data = folder / "botocore/data"
    data.mkdir(parents=True)
    for path in INSTALLED.glob("*.json"):
        shutil.copy(path, data)
    for service in (*services(), "ec2"):
        shutil.copytree(INSTALLED / service, data / service)
    (folder / "boto3/data/s3").mkdir(parents=True)
    subprocess.run([sys.executable, LAYER / "prune_botocore.py", folder, *services()], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def sessions(packages: Path) -> tuple[Session, Session]:
    """A session on the pruned data, and one on the data as it is installed."""
    pruned, whole = Session(), Session()
    for session, data in ((pruned, packages / "botocore/data"), (whole, INSTALLED)):
        session.register_component("data_loader", Loader([str(data)], include_default_search_paths=False))
    return pruned, whole


def client_of(session: Session, service: str, region: str) -> Any:
    return session.create_client(
        service,
        region_name=region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def documents(data: Path, service: str) -> dict[str, Any]:
    """The documents of a service's newest API version, by name."""
    newest = max((data / service).iterdir())
    return {
        path.name.removesuffix(".gz"): json.loads(
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        )
        for path in newest.iterdir()
    }


def without_text(document: Any) -> Any:
    """A model with each documentation text replaced, independently of the script."""
    if isinstance(document, list):
        return [without_text(one) for one in document]
    if not isinstance(document, dict):
        return document
    return {
        key: without_text(value)
        for key, value in document.items()
        if not (key == "documentation" and isinstance(value, str))
    }


def test_the_layer_and_this_environment_have_the_same_botocore() -> None:
    assert f"botocore=={version('botocore')} " in (LAYER / "requirements.txt").read_text()


def test_the_layer_keeps_the_services_that_the_code_creates_clients_of() -> None:
    assert set(clients_in_code()) == services()


def test_every_call_keeps_its_model_paginator_waiter_and_rules(packages: Path) -> None:
    for service in services():
        before = documents(INSTALLED, service)
        after = documents(packages / "botocore/data", service)
        assert before.keys() - after.keys() <= {"examples-1.json"}
        assert {name: without_text(after[name]) for name in after} == {
            name: without_text(before[name]) for name in after
        }


def test_no_documentation_is_left(packages: Path) -> None:
    sizes = {
        name: sum(path.stat().st_size for path in (packages / "botocore/data").rglob(name))
        for name in ("service-2.json", "endpoints.json")
    }
    # 2.7 MB and 1.3 MB before.
    assert sizes["service-2.json"] < 600_000
    assert sizes["endpoints.json"] < 40_000
    assert not [*(packages / "botocore/data").rglob("*.gz")]
    assert not (packages / "boto3/data").exists()


def test_a_client_calls_the_same_endpoint_and_retries_alike(sessions: tuple[Session, Session]) -> None:
    for service in services():
        for region in REGIONS:
            recording, provider_recording = (client_of(session, service, region).meta for session in sessions)
            assert recording.endpoint_url == provider_recording.endpoint_url
            assert recording.partition == provider_recording.partition
            assert recording.config.retries == provider_recording.config.retries
            assert recording.service_model.operation_names == provider_recording.service_model.operation_names


def test_a_presigned_url_is_the_same(sessions: tuple[Session, Session]) -> None:
    urls = []
    for session in sessions:
        url = client_of(session, "s3", "us-east-1").generate_presigned_url(
            "get_object", Params={"Bucket": "files", "Key": "a/b"}, ExpiresIn=60
        )
        # Time and signature change from second to second.
        urls.append(re.sub(r"(Date|Expires|Signature)=[^&]*", "", url))
    assert urls[0] == urls[1]
    assert "files" in urls[0]


def test_a_client_of_another_service_fails_and_names_those_that_there_are(sessions: tuple[Session, Session]) -> None:
    with pytest.raises(UnknownServiceError, match=r"ec2.*dynamodb, events, s3, secretsmanager, stepfunctions, sts"):
        client_of(sessions[0], "ec2", "us-east-1")


def test_a_service_that_botocore_does_not_know_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "botocore/data").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, LAYER / "prune_botocore.py", tmp_path, "dynamo"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "error: botocore has no service dynamo: correct SERVICES in the Makefile.\n"
