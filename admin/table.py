"""Let the adapters of the table work on the table of a stack. They read the environment when they are imported."""

import logging
import os
import sys
from typing import Any

from admin.stack import ClientFactory, local_environment


def open_table(make_client: ClientFactory, outputs: dict[str, Any], local: str | None) -> None:
    """Set the environment of the adapters: nothing of them may be imported before."""
    os.environ |= {
        "TABLE_NAME": outputs["TableName"],
        "AWS_DEFAULT_REGION": make_client("dynamodb").meta.region_name,
        "POWERTOOLS_SERVICE_NAME": "recordings-admin",
        "POWERTOOLS_METRICS_NAMESPACE": "Recordings",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
    if local is not None:
        os.environ |= local_environment(local)
    from recordings.observability import logger

    # What the command prints is for people or programs: log lines are neither's.
    for handler in logging.getLogger(logger.name).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)
