"""Wrong answers about one recording: what the stand-in announces, what its rows hold, what the file's URL returns.

docs/stand-in.md describes each field. Values are not checked, so that a test can send what no schema allows.
"""

import base64
import dataclasses
from dataclasses import dataclass, field
from typing import Any

ANNOUNCED = frozenset({"status", "size", "duration", "expiry"})
VIEWS = ("start", "get", "list", "active")
HIDEABLE = frozenset({"get", "list", "active"})
# The fields of `PATCH /_control/recordings/{id}` that set lies.
FIELDS = frozenset({"announced", "raw", "raw_without", "raw_in", "hidden", "answers", "answers_each", "answers_cycle"})


class Unfit(ValueError):
    """The lie is malformed; the message says why."""


@dataclass
class Answer:
    """A response of the file's URL. Without `status` and `body` it is the file, changed by the other fields."""

    status: int | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    body: str | None = None
    body_base64: str | None = None
    first_bytes: int | None = None
    total_known: bool = True
    weak_etag: bool = False
    # How often; None for every time.
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
        """Return the headers with this response's own. None removes a header."""
        own = {name.lower() for name in self.headers}
        kept = {name: value for name, value in headers.items() if name.lower() not in own}
        return kept | {name: value for name, value in self.headers.items() if value is not None}


@dataclass
class Lies:
    """The lies about one recording. A new recording has none."""

    announced: dict[str, Any] = field(default_factory=dict)
    raw: list[dict[str, Any]] = field(default_factory=list)
    raw_without: list[str] = field(default_factory=list)
    raw_in: list[str] = field(default_factory=lambda: [*VIEWS])
    hidden: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    answers_each: str = "request"
    answers_cycle: bool = False
    # The number of responses so far, and the response for the current read.
    given: int = 0
    present: Answer | None = None

    def set(self, asked: dict[str, Any]) -> None:
        """Set these lies; each replaces the earlier one. Raises Unfit, and then sets none."""
        new = dataclasses.replace(self)
        for name in FIELDS & asked.keys():
            setattr(new, name, _READ.get(name, _as_is)(asked[name]))
        if new.answers_each not in ("request", "look"):
            raise Unfit("answers_each is request or look")
        if "answers" in asked:
            new.given, new.present = 0, None
        self.__dict__.update(new.__dict__)

    def row(self, reported: dict[str, Any], where: str) -> dict[str, Any]:
        """Return the row with the lies. Each view that `raw` names takes its next object; the last one stays."""
        for name, key in (("status", "status"), ("size", "file_size"), ("expiry", "download_url_expiry")):
            if name in self.announced:
                reported[key] = self.announced[name]
        if "duration" in self.announced:
            reported["recording_duration"] = self.announced["duration"]
        if where not in self.raw_in:
            return reported
        if self.raw:
            reported |= self.raw[0]
            if len(self.raw) > 1:
                self.raw.pop(0)
        return {key: value for key, value in reported.items() if key not in self.raw_without}

    def news(self, reported: dict[str, Any]) -> dict[str, Any]:
        """Return a webhook's recording with the announced values. A size is a string there."""
        for name, key in (("status", "status"), ("duration", "recordingDuration"), ("expiry", "downloadUrlExpiry")):
            if name in self.announced:
                reported[key] = self.announced[name]
        if "size" in self.announced:
            size = self.announced["size"]
            reported["fileSize"] = str(size) if isinstance(size, int) else size
        return reported

    def response(self, asked_range: str) -> Answer | None:
        """Return the response for this read of the file's URL, or None for the file itself.

        With `answers_each` = `look`, only a read of the first byte alone, which reads the size, takes the next
        response. The reads after it get the same one.
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
            one.content  # noqa: B018  # reject invalid base64 now, not when the file is read
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
