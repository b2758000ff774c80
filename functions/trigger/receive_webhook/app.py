"""POST /webhooks/cloudflare: receive a webhook that Cloudflare signed."""

from http import HTTPStatus

from recordings.domain.errors import Conflict, Throttled
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.hints import hint_of
from recordings.http.problems import refused
from recordings.http.schemas import Nothing
from recordings.observability import identify
from recordings.wiring import trigger as wiring

receive_webhook, keys = wiring.receive_webhook(), wiring.webhook_keys()


@endpoint(scope=None, query=None, body=None)
def handler(request: Request[Nothing, Nothing]) -> Response:
    signature = request.header("rtk-signature")
    if not signature or not keys.verify(request.raw_body, signature):
        raise refused(HTTPStatus.UNAUTHORIZED, "signature_invalid", "Cloudflare's signature does not fit the body.")
    hint = hint_of(request.raw_body)
    if hint is not None:
        identify(cloudflare_recording_id=hint.capture_id)
    try:
        handled = hint is not None and receive_webhook(capture_id=hint.capture_id, meeting_id=hint.meeting_id)
    except Conflict as error:
        # Another change came first. Cloudflare repeats a webhook after a 5xx, never after a 4xx.
        raise Throttled("Another change came first. Send the webhook again.") from error
    return Response(HTTPStatus.OK, {"data": {"handled": handled}})
