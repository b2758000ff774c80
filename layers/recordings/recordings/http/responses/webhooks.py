"""Responses to Cloudflare's webhooks."""

from typing import Annotated, Self

from pydantic import Field

from recordings.http.responses.base import Document


class WebhookResult(Document):
    """What happened to a webhook."""

    handled: Annotated[bool, Field(description="Whether it was about a recording of this service.")]


class WebhookResponse(Document):
    """What happened to a webhook, in its envelope."""

    data: WebhookResult

    @classmethod
    def from_result(cls, *, handled: bool) -> Self:
        return cls.model_validate({"data": {"handled": handled}})
