"""The request's deadline for calls to AWS and R2.

botocore's time-outs are fixed when a client is made (botocore.config.Config). They hold as long as the request has that
much time left. When it has less, the call goes through a session with shorter time-outs; when it has none, the call is
not made. botocore announces each attempt of a call with the event `before-send`, and takes a response from there.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from botocore.httpsession import URLLib3Session

from recordings.domain.errors import Throttled
from recordings.request_context import remaining_seconds

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient

# Few different time-outs, so that connections are used again.
STEPS: Final = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0)
LONGEST_CONNECT_SECONDS: Final = 2.0


def bounded[C: BaseClient](client: C) -> C:
    """Let every call of this client end by the deadline of the request that makes it.

    The client's calls raise Throttled when there is no time left for them.
    """
    config: Any = client.meta.config
    longest: float = config.connect_timeout + config.read_timeout

    def before_send(request: "AWSPreparedRequest", **_: Any) -> "AWSResponse | None":
        remaining = remaining_seconds()
        if remaining >= longest:
            return None
        fitting = [step for step in STEPS if step <= remaining]
        if not fitting:
            raise Throttled("the request took too long; make the call again", retry_after=1)
        return _session(fitting[-1]).send(request)

    # The stubs say that handlers return nothing and time-outs are whole; botocore documents and does otherwise.
    client.meta.events.register("before-send", before_send)  # type: ignore[arg-type]
    return client


@lru_cache(maxsize=len(STEPS))
def _session(seconds: float) -> URLLib3Session:
    connect = min(LONGEST_CONNECT_SECONDS, seconds / 2)
    return URLLib3Session(timeout=(connect, seconds - connect))  # type: ignore[arg-type]
