"""The client of Step Functions."""

from typing import Final

from botocore.config import Config

from recordings.adapters.aws.clients import create_client
from recordings.adapters.aws.deadline import bounded

client: Final = bounded(
    create_client(
        "stepfunctions",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )
)
