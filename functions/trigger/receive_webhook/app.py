"""POST /webhooks/cloudflare: receive a webhook that Cloudflare signed."""

from http import HTTPStatus

from recordings.domain.errors import Conflict, Throttled
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.problems import ProblemError
from recordings.http.requests import NoBody, NoQuery, parse_webhook
from recordings.http.responses.webhooks import WebhookResponse
from recordings.observability import identify
from recordings.wiring import trigger as wiring

receive_webhook, keys = wiring.receive_webhook(), wiring.webhook_keys()


@endpoint(scope=None, query=None, body=None, actor="webhook")
def handler(request: Request[NoQuery, NoBody]) -> Response[WebhookResponse]:
    signature = request.header("rtk-signature")
    if not signature or not keys.verify(request.raw_body, signature):
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED, "signature_invalid", "Cloudflare's signature does not fit the body."
        )
    notification = parse_webhook(request.raw_body)
    if notification is not None:
        identify(cloudflare_recording_id=notification.cloudflare_recording_id)
    try:
        handled = notification is not None and receive_webhook(
            cloudflare_recording_id=notification.cloudflare_recording_id, meeting_id=notification.meeting_id
        )
    except Conflict as error:
        # Another change came first. Cloudflare repeats a webhook after a 5xx, never after a 4xx.
        raise Throttled("Another change came first. Send the webhook again.") from error
    return Response(HTTPStatus.OK, WebhookResponse.from_result(handled=handled))
