"""Annotations of an invocation's X-Ray trace, without the X-Ray SDK.

Lambda traces each invocation. Our annotations need a subsegment, which is one UDP datagram to the daemon that Lambda
runs beside the function. Source: X-Ray Developer Guide, "Sending trace data to X-Ray" and "X-Ray segment documents".
The SDK would add 200 ms and more to each cold start.
"""

import json
import logging
import secrets
import socket
import time
from collections.abc import Mapping
from typing import Final

from recordings import settings

HEADER: Final = b'{"format": "json", "version": 1}\n'
NAME: Final = "recordings"


def annotate(annotations: Mapping[str, str], *, started_at: float) -> None:
    """Send a subsegment with these annotations, from `started_at` (seconds since 1970) to now.

    Sends nothing without annotations, for an invocation that is not sampled, or where no daemon runs (local stack).
    A trace is not worth a failed request, so an error is only logged, at DEBUG.
    """
    address, trace_header = settings.trace()
    trace = dict(part.partition("=")[::2] for part in trace_header.split(";"))
    if not annotations or not address or trace.get("Sampled") != "1" or not {"Root", "Parent"} <= trace.keys():
        return
    segment = {
        "name": NAME,
        "type": "subsegment",
        "id": secrets.token_hex(8),
        "trace_id": trace["Root"],
        "parent_id": trace["Parent"],
        "start_time": started_at,
        "end_time": time.time(),
        "annotations": dict(annotations),
    }
    host, _, port = address.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
            daemon.sendto(HEADER + json.dumps(segment).encode(), (host, int(port)))
    except (OSError, ValueError) as error:
        logging.getLogger(__name__).debug("trace not annotated: %s", type(error).__name__)
