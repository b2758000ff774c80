import time

from aws_lambda_powertools.utilities.typing import LambdaContext


class Context(LambdaContext):
    """What Lambda tells a function about itself."""

    _function_name = "test"
    _memory_limit_in_mb = 512
    _invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:test"
    _aws_request_id = "aws-request-1"

    def __init__(self, seconds: float = 29) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools' is a static one
        return round((self._end - time.monotonic()) * 1000)
