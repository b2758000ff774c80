"""Let the adapters of the table work on the table of a stack. They read the environment when they are imported."""

import logging
import os
from typing import Any

from admin.stack import ClientFactory, local_environment


def open_table(make_client: ClientFactory, outputs: dict[str, Any], local: str | None) -> None:
    """Set the environment of the adapters: nothing of them may be imported before."""
    os.environ |= {
        "TABLE_NAME": outputs["TableName"],
        "AWS_DEFAULT_REGION": make_client("dynamodb").meta.region_name,
        "POWERTOOLS_SERVICE_NAME": "recordings-admin",
        "POWERTOOLS_METRICS_NAMESPACE": "Recordings",
    }
    if local is not None:
        os.environ |= local_environment(local)
    from recordings.observability import logger

    # Log lines are neither for people nor for programs that read what a command prints. Errors are raised as well.
    logging.getLogger(logger.name).setLevel(logging.CRITICAL)
