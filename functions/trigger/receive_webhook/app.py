"""POST /webhooks/cloudflare: news of a recording, signed by Cloudflare."""

from http import HTTPStatus

from recordings.adapters.aws.executions import ProcessingStateMachine
from recordings.adapters.cloudflare.client import RealtimeKitClient
from recordings.adapters.cloudflare.signature import WebhookKeys
from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter
from recordings.adapters.dynamodb.recordings import DynamoRecordings
from recordings.adapters.dynamodb.rooms import DynamoRooms
from recordings.adapters.storage.bucket import R2Bucket
from recordings.adapters.system import deadlines, new_id, now
from recordings.domain.errors import Conflict, Throttled
from recordings.http.endpoint import Request, Response, endpoint
from recordings.http.hints import hint_of
from recordings.http.problems import refused
from recordings.http.schemas import Nothing
from recordings.observability import identify
from recordings.services.sync.receive_webhook import ReceiveWebhook
from recordings.services.sync.reconcile_recording import ReconcileRecording

keys = WebhookKeys()
recordings, recorder, workflow = (
    DynamoRecordings(),
    RealtimeKitClient(DynamoRateLimiter("workflow")),
    ProcessingStateMachine(),
)
reconcile = ReconcileRecording(
    recordings=recordings,
    recorder=recorder,
    workflow=workflow,
    files=R2Bucket(),
    clock=now,
    new_id=new_id,
    deadlines=deadlines(),
)
receive_webhook = ReceiveWebhook(
    rooms=DynamoRooms(), recordings=recordings, recorder=recorder, workflow=workflow, reconcile=reconcile
)


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
        # Somebody was faster; Cloudflare sends again after a 5xx, and never after a 4xx.
        raise Throttled("this news met another change; send it again") from error
    return Response(HTTPStatus.OK, {"data": {"handled": handled}})
