"""Run checkov over the expanded template, in an environment of its own, because it pins other library versions."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tools.checks.faults import Fault


class Checkov:
    """A run of checkov, which takes seconds: start it, do something else, then read its faults."""

    def __init__(self, python: Path, template: Path) -> None:
        self._process = subprocess.Popen(
            [
                python, "-m", "checkov.main", "--file", template, "--framework", "cloudformation", "--output", "json",
                "--quiet", "--compact", "--soft-fail", "--skip-download",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # No setting of this machine changes the gate, and it sends nothing.
            env={
                "PATH": os.environ["PATH"], "HOME": str(template.parent), "LOG_LEVEL": "ERROR",
                "CKV_IGNORE_HIDDEN_DIRECTORIES": "false", "BC_SKIP_MAPPING": "TRUE",
            },
            cwd=template.parent,
        )  # fmt: skip

    def faults(self) -> Iterator[Fault]:
        """Yield what it found. Raises RuntimeError if it did not check the template."""
        output, log = self._process.communicate()
        try:
            report = json.loads(output)
            summary, failed = report["summary"], report["results"]["failed_checks"]
        except (ValueError, KeyError, TypeError) as error:
            raise RuntimeError(f"checkov failed: {(log or output)[-2000:]}") from error
        if summary["parsing_errors"] or not summary["passed"]:
            raise RuntimeError(f"checkov read nothing: {summary}")
        for check in failed:
            kind, _, logical_id = check["resource"].rpartition(".")
            yield Fault("checkov", check["check_id"], logical_id, kind, check["check_name"])

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
