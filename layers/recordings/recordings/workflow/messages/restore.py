"""S3's events about restored copies of archived files, as EventBridge delivers them."""

from typing import Annotated

from pydantic import AliasPath, Field

from recordings.workflow.messages.base import TaskInput, TaskOutput


class RestoreEvent(TaskInput):
    """Object Restore Completed or Object Restore Expired (S3 User Guide, "EventBridge event message structure")."""

    key: Annotated[str, Field(validation_alias=AliasPath("detail", "object", "key"))]


class TrackRestoreOutput(TaskOutput):
    """The recording whose file the event is about, and its version after it; None if no recording has this file."""

    recording_id: str | None = None
    version: int | None = None
