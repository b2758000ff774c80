"""POST /api/v1/rooms/{id}/recordings/sync: bring a room's recordings in line with Cloudflare."""

from http import HTTPStatus

from recordings.adapters.budget import CallBudget
from recordings.adapters.dynamo import DynamoIdempotencyKeys, DynamoRecordings, DynamoRooms
from recordings.adapters.object_store import R2
from recordings.adapters.realtimekit import RealtimeKit
from recordings.adapters.step_functions import ProcessingRuns
from recordings.adapters.system import deadlines, new_id, now
from recordings.http.endpoint import Idempotency, Request, Response, endpoint
from recordings.http.schemas import Nothing, synced_view
from recordings.services.reconcile_recording import ReconcileRecording
from recordings.services.sync_room import SyncRoom

recordings, recorder = DynamoRecordings(), RealtimeKit(CallBudget())
reconcile = ReconcileRecording(
    recordings=recordings,
    recorder=recorder,
    workflow=ProcessingRuns(),
    files=R2(),
    clock=now,
    new_id=new_id,
    deadlines=deadlines(),
)
sync = SyncRoom(rooms=DynamoRooms(), recordings=recordings, recorder=recorder, reconcile=reconcile, clock=now)


@endpoint(scope="recordings:write", idempotency=Idempotency(DynamoIdempotencyKeys(), now))
def handler(request: Request[Nothing, Nothing]) -> Response:
    changed = sync(tenant_id=request.tenant_id, room_id=request.room_id())
    return Response(HTTPStatus.OK, {"data": synced_view(changed)})
