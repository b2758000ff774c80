"""Who was given a download URL of a recording."""

from dataclasses import dataclass
from datetime import datetime

from recordings.domain.actor import Actor
from recordings.domain.stored_file import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One download URL: who got it, when, until when it works, and from which store it reads."""

    actor: Actor
    at: datetime
    until: datetime
    store: Store
