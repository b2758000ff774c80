"""How the stand-in lies about one recording: what it announces, what its rows hold, what the file's URL answers.

docs/stand-in.md describes each field. Values are taken as they come, so that a test can send what no schema allows.
"""

import base64
import dataclasses
from dataclasses import dataclass, field
from typing import Any

ANNOUNCED = frozenset({"status", "size", "duration", "expiry"})
VIEWS = ("start", "get", "list", "active")
HIDEABLE = frozenset({"get", "list", "active"})
# The fields of `PATCH /_control/recordings/{id}` that end up here.
FIELDS = frozenset({"announced", "raw", "raw_without", "raw_in", "hidden", "answers", "answers_each", "answers_cycle"})


class Unfit(ValueError):
    """A lie that cannot be told; the text says why."""


@dataclass
class Answer:
    """One answer of the file's URL. Without `status` and `body` it is the file, changed by the other fields."""

    status: int | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    body: str | None = None
    body_base64: str | None = None
    first_bytes: int | None = None
    total_known: bool = True
    weak_etag: bool = False
    # None: for ever.
    times: int | None = 1

    @property
    def is_file(self) -> bool:
        return self.status is None and self.body is None and self.body_base64 is None

    @property
    def content(self) -> bytes:
        if self.body_base64 is not None:
            return base64.b64decode(self.body_base64, validate=True)
        return (self.body or "").encode()

    def changed(self, headers: dict[str, str]) -> dict[str, str]:
        """These headers with its own over them; None removes one."""
        own = {name.lower() for name in self.headers}
        kept = {name: value for name, value in headers.items() if name.lower() not in own}
        return kept | {name: value for name, value in self.headers.items() if value is not None}


@dataclass
class Lies:
    """All lies about one recording; none at first."""

    announced: dict[str, Any] = field(default_factory=dict)
    raw: list[dict[str, Any]] = field(default_factory=list)
    raw_without: list[str] = field(default_factory=list)
    raw_in: list[str] = field(default_factory=lambda: [*VIEWS])
    hidden: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    answers_each: str = "request"
    answers_cycle: bool = False
    # How many answers were given; the one that the present look is given.
    given: int = 0
    present: Answer | None = None

    def set(self, asked: dict[str, Any]) -> None:
        """Take the named lies, each in place of the one before. Raises Unfit, and then takes none."""
        new = dataclasses.replace(self)
        for name in FIELDS & asked.keys():
            setattr(new, name, _READ.get(name, _as_is)(asked[name]))
        if new.answers_each not in ("request", "look"):
            raise Unfit("answers_each is request or look")
        if "answers" in asked:
            new.given, new.present = 0, None
        self.__dict__.update(new.__dict__)

    def row(self, told: dict[str, Any], where: str) -> dict[str, Any]:
        """A row as the lies have it. Each view that `raw` touches takes the next of its objects; the last one stays."""
        for name, key in (("status", "status"), ("size", "file_size"), ("expiry", "download_url_expiry")):
            if name in self.announced:
                told[key] = self.announced[name]
        if "duration" in self.announced:
            told["recording_duration"] = self.announced["duration"]
        if where not in self.raw_in:
            return told
        if self.raw:
            told |= self.raw[0]
            if len(self.raw) > 1:
                self.raw.pop(0)
        return {key: value for key, value in told.items() if key not in self.raw_without}

    def news(self, told: dict[str, Any]) -> dict[str, Any]:
        """A webhook's recording with what is announced; a size is a string there."""
        for name, key in (("status", "status"), ("duration", "recordingDuration"), ("expiry", "downloadUrlExpiry")):
            if name in self.announced:
                told[key] = self.announced[name]
        if "size" in self.announced:
            size = self.announced["size"]
            told["fileSize"] = str(size) if isinstance(size, int) else size
        return told

    def answer(self, asked_range: str) -> Answer | None:
        """What this reading of the file's URL is answered; None: the file as it is.

        With `answers_each` = `look` only a reading of the first byte alone, which is how a size is learned, takes the
        next answer; what is read after it is answered alike.
        """
        if self.answers_each == "look" and self.given and asked_range != "bytes=0-0":
            return self.present
        number = self.given
        round_of = sum(one.times or 0 for one in self.answers)
        if self.answers_cycle and round_of:
            number %= round_of
        self.given += 1
        self.present = None
        for one in self.answers:
            if one.times is None or number < one.times:
                self.present = one
                break
            number -= one.times
        return self.present


def _as_is(given: Any) -> Any:
    return given


def _announced(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not given.keys() <= ANNOUNCED:
        raise Unfit(f"announced may hold {', '.join(sorted(ANNOUNCED))}")
    return given


def _raw(given: Any) -> list[dict[str, Any]]:
    rows = given if isinstance(given, list) else [given]
    if not all(isinstance(one, dict) for one in rows):
        raise Unfit("raw is an object, or a list of objects")
    return [*rows]


def _answers(given: Any) -> list[Answer]:
    names = {one.name for one in dataclasses.fields(Answer)}
    if not isinstance(given, list) or not all(isinstance(one, dict) and one.keys() <= names for one in given):
        raise Unfit(f"answers is a list of objects that may hold {', '.join(sorted(names))}")
    made = [Answer(**one) for one in given]
    for one in made:
        try:
            one.content  # noqa: B018  # what is no base64 is said now, not when the file is read
        except ValueError:
            raise Unfit("body_base64 is no base64") from None
    return made


def _names(allowed: frozenset[str]) -> Any:
    def read(given: Any) -> list[str]:
        if not isinstance(given, list) or not allowed.issuperset(given):
            raise Unfit(f"known are {', '.join(sorted(allowed))}")
        return [*given]

    return read


_READ = {
    "announced": _announced,
    "raw": _raw,
    "raw_in": _names(frozenset(VIEWS)),
    "hidden": _names(HIDEABLE),
    "answers": _answers,
}
