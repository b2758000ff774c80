"""Annotations of an invocation's X-Ray trace, without the X-Ray SDK.

Lambda traces each invocation by itself. An annotation needs a subsegment of ours, which is one UDP datagram to the
daemon that Lambda runs beside the function (X-Ray Developer Guide, "Sending trace data to X-Ray" and "X-Ray segment
documents"). The SDK would add 200 ms and more to each cold start.
"""

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping
from typing import Final

HEADER: Final = b'{"format": "json", "version": 1}\n'
NAME: Final = "recordings"


def annotate(annotations: Mapping[str, str], *, began: float) -> None:
    """Send a subsegment with these annotations, from `began` (seconds since 1970) to now.

    Nothing is sent where the invocation is not sampled, where no daemon runs (the local stack), or without annotations.
    A trace is not worth a failed request: an error is logged at DEBUG and goes no further.
    """
    address = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "")
    # Lambda sets it anew for each invocation: Root=1-…;Parent=…;Sampled=1;Lineage=…
    trace = dict(part.partition("=")[::2] for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";"))
    if not annotations or not address or trace.get("Sampled") != "1" or not {"Root", "Parent"} <= trace.keys():
        return
    segment = {
        "name": NAME,
        "type": "subsegment",
        "id": secrets.token_hex(8),
        "trace_id": trace["Root"],
        "parent_id": trace["Parent"],
        "start_time": began,
        "end_time": time.time(),
        "annotations": dict(annotations),
    }
    host, _, port = address.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
            daemon.sendto(HEADER + json.dumps(segment).encode(), (host, int(port)))
    except (OSError, ValueError) as error:
        logging.getLogger(__name__).debug("no annotation: %s", type(error).__name__)
