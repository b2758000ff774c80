"""Remove from botocore's data what the functions never read.

    python prune_botocore.py PACKAGES SERVICE...

PACKAGES is the folder that holds `botocore` and `boto3`; a service has botocore's name. botocore parses its data when a
client is created, so every byte that is removed here shortens each cold start. Kept are, whole but for the
documentation text: the newest API version of each service with its rule sets, paginators and waiters, and the retry
rules, default modes and partitions. Standard library only: it runs in the build, before anything is installed.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

# The partitions whose functions can reach the Internet, as Cloudflare requires. AWS's isolated regions cannot.
PARTITIONS: Final = ("aws", "aws-cn", "aws-us-gov")
# Read only to write documentation.
EXAMPLES: Final = "examples-1.json"


def without_documentation(model: Any) -> Any:
    """The model without its documentation text. A member of a shape may be called `documentation`: it is no text."""
    if isinstance(model, list):
        return [without_documentation(value) for value in model]
    if not isinstance(model, dict):
        return model
    kept = {key: without_documentation(value) for key, value in model.items() if not _is_text(key, value)}
    # botocore.model.ServiceModel reads the text of these parameters without a default.
    for parameter in kept.get("clientContextParams", {}).values():
        parameter["documentation"] = ""
    return kept


def _is_text(key: str, value: Any) -> bool:
    return key == "documentation" and isinstance(value, str)


def prune_services(data: Path, services: set[str]) -> set[str]:
    """Keep the newest API version of each service. Returns the services' names in `endpoints.json`."""
    for folder in [path for path in data.iterdir() if path.is_dir() and path.name not in services]:
        shutil.rmtree(folder)
    prefixes = set()
    for service in sorted(services):
        versions = sorted((data / service).iterdir())
        for outdated in versions[:-1]:
            shutil.rmtree(outdated)
        for path in sorted(versions[-1].iterdir()):
            if path.name.startswith(EXAMPLES):
                path.unlink()
                continue
            document = without_documentation(_read(path))
            path.unlink()
            _write(path.with_name(path.name.removesuffix(".gz")), document)
            if path.name.startswith("service-2.json"):
                prefixes.add(document["metadata"]["endpointPrefix"])
    return prefixes


def prune_endpoints(path: Path, prefixes: set[str]) -> None:
    """Keep the endpoints of our services in the partitions that the functions can run in."""
    document = _read(path)
    document["partitions"] = [
        partition
        | {"services": {name: one for name, one in partition["services"].items() if name in prefixes}}
        for partition in document["partitions"]
        if partition["partition"] in PARTITIONS
    ]  # fmt: skip
    _write(path, document)


def _read(path: Path) -> Any:
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def _write(path: Path, document: Any) -> None:
    # Not compressed: the layer's archive is, and a file that is plain needs no decompression at a cold start.
    path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def main(packages: Path, services: set[str]) -> int:
    """Prune both packages; returns 1 if botocore does not know a service."""
    data = packages / "botocore" / "data"
    unknown = sorted(service for service in services if not (data / service).is_dir())
    if unknown:
        print(
            f"error: botocore has no service {', '.join(unknown)}: correct SERVICES in the Makefile.", file=sys.stderr
        )
        return 1
    prefixes = prune_services(data, services)
    prune_endpoints(data / "endpoints.json", prefixes)
    # Descriptions of boto3's resources, which the functions do not use.
    shutil.rmtree(packages / "boto3" / "data", ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), set(sys.argv[2:])))
