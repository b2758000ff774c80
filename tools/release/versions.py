"""The version of a release, and where it is written."""

import re
from datetime import date
from typing import Final

# Semantic Versioning 2.0.0, without build metadata: a file's name and PyPI's versions have no place for it.
VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
UNRELEASED: Final = "## Unreleased\n"


class Refused(Exception):
    """One line: why there is no release, and what to do."""


def number(version: str) -> tuple[int, ...]:
    """A version as it is compared. Raises Refused."""
    if not VERSION.fullmatch(version):
        raise Refused(f"'{version}' is no version: give three numbers, as in make release VERSION=1.2.3")
    return tuple(map(int, version.split(".")))


def released(changelog: str, version: str, today: date) -> str:
    """The changelog with what was unreleased in a section of its own, and an empty "Unreleased" above it.

    Raises:
        Refused: the version is no version or not above the last one, or there is nothing to release
    """
    wanted = number(version)
    before, heading, after = changelog.partition(UNRELEASED)
    if not heading:
        raise Refused(f"CHANGELOG.md has no line '{UNRELEASED.strip()}': put it above what is new.")
    news = re.split(r"(?m)^## ", after)[0]
    if not news.strip():
        raise Refused("Nothing is unreleased: CHANGELOG.md has no line below 'Unreleased'.")
    earlier = [number(found) for found in re.findall(r"(?m)^## (\d+\.\d+\.\d+)", after)]
    if earlier and wanted <= max(earlier):
        last = ".".join(map(str, max(earlier)))
        raise Refused(f"{version} is not above {last}, the last release: give a higher one.")
    return f"{before}{UNRELEASED}\n## {version} - {today.isoformat()}\n{after}"


def with_version(text: str, pattern: str, version: str) -> str:
    """A file's text with the version in the one place that `pattern` finds: its first group stays, the rest goes.

    Raises:
        Refused: the place is missing, or there are several
    """
    changed, places = re.subn(pattern, lambda found: f"{found[1]}{version}", text)
    if places != 1:
        raise Refused(f"the version stands {places} times where {pattern} says, and must stand there once")
    return changed


def project(text: str, version: str) -> str:
    """A pyproject.toml with another version."""
    return with_version(text, r'(?m)(^version = ")[^"]*(?=")', version)


def description(text: str, version: str) -> str:
    """The OpenAPI document with another version."""
    return with_version(text, r"(?m)(^info:\n(?:  .*\n)*?  version: ).*", version)


def application(text: str, version: str) -> str:
    """A template with another version in its metadata for the Serverless Application Repository, if it has them."""
    pattern = r"(?m)(^ +SemanticVersion: ).*"
    return with_version(text, pattern, version) if re.search(pattern, text) else text
