"""POST /webhooks/cloudflare: news of a recording, signed by Cloudflare."""

from http import HTTPStatus

from recordings.adapters.dynamo import DynamoRecordings, DynamoRooms
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.step_functions import ProcessingRuns
from recordings.adapters.system import new_id, now
from recordings.adapters.webhook_key import WebhookKeys
from recordings.http.endpoint import Request, Response, endpoint, refused
from recordings.http.hints import hint_of
from recordings.http.schemas import Nothing
from recordings.services.receive_webhook import ReceiveWebhook

keys = WebhookKeys()
receive_webhook = ReceiveWebhook(
    rooms=DynamoRooms(),
    recordings=DynamoRecordings(),
    recorder=RealtimeKit(),
    workflow=ProcessingRuns(),
    clock=now,
    new_id=new_id,
)


@endpoint(scope=None, body=None)
def handler(request: Request[Nothing, Nothing]) -> Response:
    if not keys.verify(request.raw_body, request.header("rtk-signature") or ""):
        raise refused(HTTPStatus.UNAUTHORIZED, "signature_invalid", "Cloudflare's signature does not fit the body.")
    hint = hint_of(request.raw_body)
    handled = hint is not None and receive_webhook(capture_id=hint.capture_id, meeting_id=hint.meeting_id)
    return Response(HTTPStatus.OK, {"data": {"handled": handled}})
