"""Who did something."""

from typing import Annotated, Literal

from pydantic import Field

from recordings.http.responses.base import Document


class Actor(Document):
    """Who did something: a user of the API, or a part of the system."""

    type: Annotated[Literal["user", "system"], Field(description="New types may appear.")]
    id: Annotated[
        str,
        Field(
            description="Of a user the claim `sub` of the access token, or the claim that the deployment names. Of the"
            " system `sync`, `webhook`, `workflow`, `retention` or `audit`; new ones may appear."
        ),
    ]
    client_id: Annotated[str | None, Field(description="The application that the user works with. Null if unknown.")]
