"""Who makes a change, or is given a download URL: a user, or a part of the system."""

from typing import Final, Literal, NamedTuple

type ActorType = Literal["user", "system"]
type SystemPart = Literal["sync", "webhook", "workflow", "retention", "audit"]

# Of the claims that name a user and a client. Issuers' own ids are shorter.
MAX_ID_LENGTH: Final = 256


class Actor(NamedTuple):
    """`id` is the caller's claim, or the part of the system. `client_id` is the application that a user works with.

    `request_id` is the id of the request, which the logs show too.
    """

    type: ActorType
    id: str
    client_id: str | None = None
    request_id: str | None = None

    @property
    def lasting(self) -> "Actor":
        """The actor without the request: what the history keeps."""
        return self._replace(request_id=None)


def system(part: SystemPart) -> Actor:
    """Return a part of the system as an actor."""
    return Actor("system", part)


def is_actor_id(text: str) -> bool:
    """Return whether a claim can be the id of an actor: 1 to 256 printable characters."""
    return 0 < len(text) <= MAX_ID_LENGTH and text.isprintable()
