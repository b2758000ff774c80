"""Look up every pinned dependency in the published advisories: `python -m tools.audit_dependencies`.

pip-audit reads the requirements files, `npm audit` the lock of `tools/node`. pip-audit alone ends with 0 if it could
look up nothing, so its report is read here.

Exit codes: 0 everything was looked up and nothing found; 1 an advisory was found; 3 the advisories could not be read.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PIP_AUDIT: Final = ROOT / ".tools/audit/bin/pip-audit"
NODE: Final = ROOT / "tools/node"
# One advisory service that does not respond must not hold up the command.
TIMEOUT_SECONDS: Final = 300


class Exit(IntEnum):
    CLEAN = 0
    FOUND = 1
    INCOMPLETE = 3


@dataclass(frozen=True, slots=True)
class Audit:
    """What was looked up of one file of pins: lines of advisories, and why something could not be looked up."""

    name: str
    packages: int
    advisories: Sequence[str]
    missing: str | None = None


def audit_requirements(path: Path, *, osv_url: str | None = None) -> Audit:
    """Look up a requirements file at PyPI, or at the OSV API of `osv_url`."""
    service = ["--vulnerability-service", "osv", "--osv-url", osv_url] if osv_url else []
    command: list[str | Path] = [
        PIP_AUDIT, "--requirement", path, "--require-hashes", "--disable-pip", "--progress-spinner", "off",
        "--format", "json", *service,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    try:
        rows: list[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return Audit(path.name, 0, [], _last_line(done.stderr))
    skipped = [row["skip_reason"] for row in rows if "skip_reason" in row]
    advisories = [line for row in rows for line in _advisories(row)]
    missing = f"{len(skipped)} of {len(rows)} packages were not looked up: {skipped[0]}" if skipped else None
    return Audit(path.name, len(rows), advisories, missing)


def _advisories(row: Mapping[str, Any]) -> Iterator[str]:
    for advisory in row.get("vulns", []):
        fixed = ", ".join(advisory["fix_versions"]) or "no version"
        yield f"{row['name']} {row['version']}: {advisory['id']}, fixed in {fixed}"


def audit_node(folder: Path, *, registry: str | None = None) -> Audit:
    """Look up a package-lock.json at the npm registry, or at another `registry`."""
    environment = dict(os.environ) | ({"npm_config_registry": registry} if registry else {})
    done = subprocess.run(
        ["npm", "audit", "--json", "--package-lock-only", "--fetch-retries=0"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    try:
        report: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError:
        return Audit("package-lock.json", 0, [], _last_line(done.stderr))
    try:
        found: Mapping[str, Mapping[str, Any]] = report["vulnerabilities"]
        packages = int(report["metadata"]["dependencies"]["total"])
    except KeyError:
        return Audit("package-lock.json", 0, [], str(report.get("message", "npm returned no report"))[:300])
    advisories = [
        f"{name}: {via['title']} ({row['severity']})"
        for name, row in sorted(found.items())
        for via in row["via"]
        # A package that only depends on an affected one names that one here.
        if isinstance(via, dict)
    ]
    return Audit("package-lock.json", packages, advisories)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "the tool printed nothing"


def pins() -> list[Path]:
    """Return every requirements file with pins of the checkout."""
    return sorted([*ROOT.glob("requirements-*.txt"), *ROOT.glob("layers/*/requirements.txt")])


def report(audits: Sequence[Audit]) -> Exit:
    """Print what was looked up, and return the exit code."""
    for audit in audits:
        for advisory in audit.advisories:
            print(f"{audit.name}: {advisory}")
        if audit.missing:
            print(f"{audit.name}: the advisories could not be read: {audit.missing}", file=sys.stderr)
        else:
            print(f"{audit.name}: {audit.packages} packages, {len(audit.advisories)} advisories")
    if any(audit.advisories for audit in audits):
        return Exit.FOUND
    return Exit.INCOMPLETE if any(audit.missing for audit in audits) else Exit.CLEAN


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m tools.audit_dependencies")
    parser.add_argument(
        "--requirements", type=Path, action="append", help="a file of pins (default: all of the checkout)"
    )
    parser.add_argument("--node", type=Path, default=NODE, help="a folder with a package-lock.json")
    parser.add_argument("--osv-url", help="look up Python packages at this OSV API instead of PyPI")
    parser.add_argument("--npm-registry", help="look up Node packages at this registry")
    asked = parser.parse_args(arguments)
    audits = [audit_requirements(path, osv_url=asked.osv_url) for path in asked.requirements or pins()]
    return report([*audits, audit_node(asked.node, registry=asked.npm_registry)])


if __name__ == "__main__":
    sys.exit(main())
