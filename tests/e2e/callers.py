"""What callers of the API do when no function is free for them."""

import os
import time

import httpx

# What API Gateway says of it. The request reached no function, so it may be made again, whatever it asks for.
NO_FUNCTION_FREE = b'{"message":"Service Unavailable"}'
MAX_WAIT_SECONDS = 120


class PatientTransport(httpx.HTTPTransport):
    """Makes a request again until a function is free for it."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        end = time.monotonic() + MAX_WAIT_SECONDS
        while True:
            response = super().handle_request(request)
            if response.status_code != 503 or response.read() != NO_FUNCTION_FREE or time.monotonic() > end:
                return response
            response.close()
            time.sleep(0.1)


def transport() -> httpx.HTTPTransport:
    """How the tests call the API: patiently on a stack that runs few functions at once, else at the first try."""
    few = os.environ.get("LOCAL_CONCURRENCY")
    return (PatientTransport if few else httpx.HTTPTransport)(limits=httpx.Limits(max_connections=100))
