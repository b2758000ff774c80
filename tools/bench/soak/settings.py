"""What the stand-in does wrong by itself: the files' server, its webhook key, its webhooks, its habits.

Every few seconds the faults are taken back and others take their place, so that each lasts long enough to be met.
"""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import httpx

ROUND_SECONDS: Final = 4.0
# How many calls one round's fault strikes at most. A `hold` ends with its round.
STRIKES: Final = 3

type Facts = Mapping[str, Any]

MEDIA: Final[Mapping[str, Facts]] = {
    "500": {"kind": "answer", "status": 500},
    "503": {"kind": "answer", "status": 503},
    "403": {"kind": "answer", "status": 403},
    "404": {"kind": "answer", "status": 404},
    "429 with a pause": {"kind": "answer", "status": 429, "retry_after": 1},
    "502 with an HTML page": {"kind": "answer", "status": 502, "body": "html"},
    "200 with an HTML page": {"kind": "answer", "status": 200, "body": "html"},
    "200 with nothing": {"kind": "answer", "status": 200, "body": "empty"},
    "the connection breaks before the call": {"kind": "drop"},
    "the connection breaks in the file": {"kind": "cut", "every_bytes": 5000},
    "no answer until the fault ends": {"kind": "hold"},
    "the answer comes late": {"kind": "delay", "seconds": 2},
    "the file comes slowly": {"kind": "slow", "bytes_per_second": 20_000},
    "one bit is wrong": {"kind": "flip"},
}
# Where a bit may be wrong: within every file there is. It is another place each time, and one read that it strikes: two
# reads that are wrong in the same place agree, and without an ETag nothing in the world tells them from the truth.
PLACES: Final = 15_000
KEY: Final[Mapping[str, Facts]] = {
    "500": {"kind": "answer", "status": 500},
    "502 with an HTML page": {"kind": "answer", "status": 502, "body": "html"},
    "200 without success": {"kind": "answer", "body": "unsuccessful"},
    "200 with nothing": {"kind": "answer", "status": 200, "body": "empty"},
}
HABITS: Final[Mapping[str, Facts]] = {
    "webhooks are lost": {"webhooks": False},
    "webhooks come three times": {"webhook_copies": 3},
    "webhooks come late": {"webhook_delay": 3},
    "reads lag behind a start": {"read_lag": 1.5},
    "the file is delivered late": {"own_bucket": "late", "delivery_seconds": 3},
    "the file is not delivered": {"own_bucket": "ignore"},
    "storage of ours is refused": {"own_bucket": "refuse"},
    "files cannot be read in ranges": {"ranges": False},
    "ETags tell nothing": {"etag": "opaque"},
    "there is no ETag": {"etag": "none"},
    "the duration is not told": {"duration_known": False},
    "rows of a list name no meeting": {"rows_name_their_meeting": False},
    "a second start is answered 400": {"already_recording_status": 400},
    "uploads take long": {"upload_seconds": 4},
    "starts take long": {"start_seconds": 3},
}


class Habits:
    """Between `with` and its end the stand-in misbehaves; `struck` counts what was met, `rounds` what was in force."""

    def __init__(self, control: str, seed: int) -> None:
        self._random = random.Random(seed)
        self._client = httpx.Client(base_url=control, timeout=30)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self.struck: Counter[tuple[str, str]] = Counter()
        self.rounds: Counter[str] = Counter()
        self.trouble: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(60)
        self._client.delete("/faults").raise_for_status()
        self._client.close()

    def _go_on(self) -> None:
        try:
            while not self._over.is_set():
                self._round()
        except Exception as error:
            # Without its faults the run would be no test: it is reported, and fails the run.
            self.trouble.append(f"{type(error).__name__}: {error}")

    def _round(self) -> None:
        media, key = self._least("media", MEDIA), self._least("key", KEY)
        armed: dict[tuple[str, str], dict[str, Any]] = {
            ("media", media): {"on": "media", "probability": 0.6, "times": STRIKES, **MEDIA[media]},
            ("key", key): {"on": "key", "times": 1, **KEY[key]},
        }
        if MEDIA[media]["kind"] == "flip":
            armed["media", media] |= {"at": self._random.randrange(PLACES), "times": 1}
        for facts in armed.values():
            self._client.post("/faults", json=facts).raise_for_status()
        for habit in self._random.sample([*HABITS], 2):
            self.rounds[habit] += 1
            self._client.post("/settings", json=HABITS[habit]).raise_for_status()
        if self._random.random() < 0.3:
            self._client.post("/rotate-webhook-key").raise_for_status()
        self._over.wait(ROUND_SECONDS)
        self._count(armed, self._client.get("/faults").raise_for_status().json()["data"])
        # Settings go back with the faults.
        self._client.delete("/faults").raise_for_status()

    def _least(self, call: str, faults: Mapping[str, Facts]) -> str:
        least = min(self.struck[call, name] for name in faults)
        return self._random.choice([name for name in faults if self.struck[call, name] == least])

    def _count(self, armed: Mapping[tuple[str, str], Facts], left: Sequence[Facts]) -> None:
        for (place, facts), fault in zip(armed.items(), left, strict=True):
            self.struck[place] += int(facts["times"]) - int(fault["times"])
