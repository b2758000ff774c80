"""Domain errors as HTTP: the only place that knows both."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from recordings.domain import errors

STATUS_OF: Final[Mapping[type[errors.RecordingsError], HTTPStatus]] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TransitionNotAllowed: HTTPStatus.CONFLICT,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidCursor: HTTPStatus.BAD_REQUEST,
    errors.Throttled: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ProviderThrottled: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ProviderTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    errors.ProviderFailure: HTTPStatus.BAD_GATEWAY,
}


def status_of(error: errors.RecordingsError) -> HTTPStatus:
    """The status of the nearest listed ancestor; an unlisted error is a bug, hence 500."""
    return next(
        (STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), HTTPStatus.INTERNAL_SERVER_ERROR
    )
