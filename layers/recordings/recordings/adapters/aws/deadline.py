"""The request's deadline for calls to AWS and R2.

botocore fixes the time-outs of a client when it makes the client (botocore.config.Config). A call keeps them while the
request has that much time left. With less time, the call goes through a session with shorter time-outs. With none, it
is not sent. botocore emits the event `before-send` for each attempt of a call, and a handler may return the response.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from botocore.httpsession import URLLib3Session

from recordings.domain.errors import Throttled
from recordings.request_context import remaining_seconds

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient

# Few different time-outs, so that connections are reused.
TIMEOUT_STEPS_SECONDS: Final = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0)
MAX_CONNECT_SECONDS: Final = 2.0


def bounded[C: BaseClient](client: C) -> C:
    """Make every call of this client end by the deadline of the current request.

    The client's calls raise Throttled when no time is left for them.
    """
    config: Any = client.meta.config
    full_seconds: float = config.connect_timeout + config.read_timeout

    def before_send(request: "AWSPreparedRequest", **_: Any) -> "AWSResponse | None":
        remaining = remaining_seconds()
        if remaining >= full_seconds:
            return None
        fitting = [step for step in TIMEOUT_STEPS_SECONDS if step <= remaining]
        if not fitting:
            raise Throttled("The request took too long. Repeat it.", retry_after=1)
        return _session(fitting[-1]).send(request)

    # The stubs declare that handlers return nothing and time-outs are whole numbers; botocore documents both otherwise.
    client.meta.events.register("before-send", before_send)  # type: ignore[arg-type]
    return client


@lru_cache(maxsize=len(TIMEOUT_STEPS_SECONDS))
def _session(seconds: float) -> URLLib3Session:
    connect = min(MAX_CONNECT_SECONDS, seconds / 2)
    return URLLib3Session(timeout=(connect, seconds - connect))  # type: ignore[arg-type]
