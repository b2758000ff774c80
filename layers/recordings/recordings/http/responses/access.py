"""Who was given a download URL."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from recordings.domain import access as domain
from recordings.http.responses.actors import Actor
from recordings.http.responses.base import PROVIDER, CursorPageMeta, Document, Instant, Provider


class Access(Document):
    """A download URL that was given out."""

    at: Annotated[Instant, Field(description="When it was given out.")]
    actor: Annotated[Actor, Field(description="Who got it.")]
    request_id: Annotated[str | None, Field(description="The request that it answered, as in `X-Request-Id`.")]
    expires_at: Annotated[Instant, Field(description="Until when the URL works.")]
    provider: Annotated[Provider, Field(description=PROVIDER)]


class AccessPageMeta(CursorPageMeta):
    """Which page of the access log this is."""


class AccessPage(Document):
    """A page of a recording's access log, the latest URL first."""

    data: list[Access]
    meta: AccessPageMeta

    @classmethod
    def from_domain(cls, entries: Sequence[domain.Access], *, limit: int, next_cursor: str | None) -> Self:
        meta = {"limit": limit, "next_cursor": next_cursor}
        return cls.model_validate({"data": [_values(entry) for entry in entries], "meta": meta})


def _values(entry: domain.Access) -> dict[str, Any]:
    return {
        "at": entry.at,
        "actor": entry.actor,
        "request_id": entry.actor.request_id,
        "expires_at": entry.until,
        "provider": entry.store,
    }
