"""Whether a file that was fetched or delivered becomes the recording's, as a table.

    file        size ¹      Cloudflare    while attempts are left   at the last attempt
    no media    any         any           try again ²               give up: file_invalid
    media       short       any           try again ³               accept as partial
    media       doubtful    uploaded      try again ⁴               accept
    media       doubtful    errored       try again ⁴               accept as partial
    media       whole       uploaded      accept                    accept
    media       whole       errored       accept as partial         accept as partial

    ¹ compared with the size that Cloudflare announced. Short: fewer bytes, or the file shows that its end is missing.
      Doubtful: more bytes, and no checksum or ETag of the source proves them. Whole: as many bytes, or more bytes that
      a checksum or ETag proves (the announcement was too early), or no announced size.
    ² MaxAttempts times at most: an error page may disappear, and Cloudflare keeps the file for days
    ³ SHORT_ATTEMPTS times at most, ⁴ DOUBTFUL_ATTEMPTS times at most

An attempt is also the last one if Cloudflare's copy would expire before the next one. The pause doubles after each
attempt. Attempts that a person asks for are not counted and not limited.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from recordings.domain.recording import Failure, Recording

FILE_INVALID: Final = Failure(
    "file_invalid",
    "What Cloudflare gave as the file is no audio or video. "
    "Its bytes are kept in quarantine until Cloudflare's copy is gone.",
)
SHORT_ATTEMPTS: Final = 6
DOUBTFUL_ATTEMPTS: Final = 2


class Action(StrEnum):
    ACCEPT = "accept"
    ACCEPT_PARTIAL = "accept_partial"
    TRY_AGAIN = "try_again"
    GIVE_UP = "give_up"


class Size(StrEnum):
    SHORT = "short"
    DOUBTFUL = "doubtful"
    WHOLE = "whole"


class Proof(StrEnum):
    """What proves that the bytes are those of the source."""

    SOURCE = "source"  # its checksum or its ETag
    READS = "reads"  # two reads with the same bytes
    NONE = "none"  # Cloudflare delivered the file itself


@dataclass(frozen=True, slots=True)
class Rule:
    """The number of attempts (None: as configured), and the action of the last one."""

    attempts: int | None
    at_the_end: Action


_UPLOADED, _ERRORED = False, True
# By: whether the file is media, its size, whether Cloudflare calls the recording errored.
RULES: Final[Mapping[tuple[bool, Size, bool], Rule]] = MappingProxyType(
    {
        **{(False, size, errored): Rule(None, Action.GIVE_UP) for size in Size for errored in (_UPLOADED, _ERRORED)},
        (True, Size.SHORT, _UPLOADED): Rule(SHORT_ATTEMPTS, Action.ACCEPT_PARTIAL),
        (True, Size.SHORT, _ERRORED): Rule(SHORT_ATTEMPTS, Action.ACCEPT_PARTIAL),
        (True, Size.DOUBTFUL, _UPLOADED): Rule(DOUBTFUL_ATTEMPTS, Action.ACCEPT),
        (True, Size.DOUBTFUL, _ERRORED): Rule(DOUBTFUL_ATTEMPTS, Action.ACCEPT_PARTIAL),
        (True, Size.WHOLE, _UPLOADED): Rule(1, Action.ACCEPT),
        (True, Size.WHOLE, _ERRORED): Rule(1, Action.ACCEPT_PARTIAL),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """How often a file is tried without a person asking for it, and the pauses in between."""

    max_attempts: int = 12
    first_pause: timedelta = timedelta(minutes=5)
    max_pause: timedelta = timedelta(hours=12)

    def pause_after(self, attempts: int) -> timedelta:
        """Return the pause after so many attempts. Each pause is twice as long as the one before."""
        # 2 to the power of 20 seconds is longer than every maximum pause.
        doubled: int = 2 ** min(max(attempts, 1) - 1, 20)
        return min(self.first_pause * doubled, self.max_pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvidence:
    """What is known about a file that was fetched. `announced_bytes` is None if Cloudflare announced no size.

    `errored`: Cloudflare reports that it could not record or upload the file. `truncated`: the file shows that its end
    is missing. `expires_at`: when Cloudflare deletes its copy.
    """

    is_media: bool
    size_bytes: int
    announced_bytes: int | None
    truncated: bool = False
    errored: bool = False
    proof: Proof = Proof.NONE
    expires_at: datetime | None = None

    @property
    def size(self) -> Size:
        """How the size compares with the announced one. An announced size of 0 counts as none."""
        announced = self.announced_bytes if self.announced_bytes and self.announced_bytes > 0 else None
        if self.truncated or (announced is not None and self.size_bytes < announced):
            return Size.SHORT
        if announced is not None and self.size_bytes > announced and self.proof is not Proof.SOURCE:
            return Size.DOUBTFUL
        return Size.WHOLE


@dataclass(frozen=True, slots=True)
class Decision:
    """`next_attempt_at` with TRY_AGAIN, `failure` with GIVE_UP."""

    action: Action
    next_attempt_at: datetime | None = None
    failure: Failure | None = None


def admit(evidence: FileEvidence, *, attempts: int, now: datetime, limits: AttemptLimits) -> Decision:
    """Decide about a file. `attempts` includes the present one."""
    rule = RULES[evidence.is_media, evidence.size, evidence.errored]
    most = limits.max_attempts if rule.attempts is None else min(rule.attempts, limits.max_attempts)
    again = now + limits.pause_after(attempts)
    if attempts < most and (evidence.expires_at is None or again < evidence.expires_at):
        return Decision(Action.TRY_AGAIN, next_attempt_at=again)
    return Decision(rule.at_the_end, failure=FILE_INVALID if rule.at_the_end is Action.GIVE_UP else None)


def next_attempt_at(recording: Recording, *, now: datetime, limits: AttemptLimits) -> datetime | None:
    """Return when the next attempt follows one that failed now. None if it was the last one."""
    if recording.automatic_attempts >= limits.max_attempts:
        return None
    return now + limits.pause_after(recording.automatic_attempts)


def may_restart(recording: Recording, *, now: datetime, limits: AttemptLimits, last_chance: bool = False) -> bool:
    """Return whether a recording gets its next attempt now, after one that failed or died.

    `last_chance` allows one more attempt: Cloudflare's copy is gone, and our bucket holds a delivered file.
    """
    if recording.automatic_attempts >= limits.max_attempts + last_chance:
        return False
    due = recording.next_attempt_at
    if due is None:
        # It died, or the upload never came. The pause begins with the attempt.
        began = recording.recovered_at or recording.stopped_at or recording.started_at
        due = began + limits.pause_after(recording.automatic_attempts)
    return now >= due
