"""What several builders need: groups of settings, and parts of services."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from recordings import settings

if TYPE_CHECKING:
    from recordings.adapters.cloudflare.client import DirectDelivery, RealtimeKitClient
    from recordings.domain.admission import AttemptLimits
    from recordings.domain.fair_share import Caller
    from recordings.domain.reconciliation import Action, Deadlines
    from recordings.services.sync.reconcile_recording import ReconcileRecording

type OnAction = Callable[["Action"], object]

# What a function reads that has the ability.
CALL_CLOUDFLARE: Final = (settings.TABLE, settings.CLOUDFLARE, settings.RATE_LIMIT, settings.SECRETS)
USE_FILES: Final = (settings.R2_BUCKET, settings.SECRETS)
RECONCILE: Final = (*CALL_CLOUDFLARE, *USE_FILES, settings.PROCESSING, settings.DEADLINES, settings.ATTEMPTS)


def provider(caller: "Caller" = "interactive", *, delivery: "DirectDelivery | None" = None) -> "RealtimeKitClient":
    """Build the client of Cloudflare's API. Its calls take the share of `caller` in the rate limit."""
    from recordings.adapters.aws.secrets import Secret
    from recordings.adapters.cloudflare.client import RealtimeKitClient
    from recordings.adapters.dynamodb.rate_limit import DynamoRateLimiter

    token = Secret(settings.CLOUDFLARE().secret_arn, ttl=settings.SECRETS().ttl)
    return RealtimeKitClient(DynamoRateLimiter(caller), token=token, delivery=delivery)


def deadlines() -> "Deadlines":
    """How long a recording may stay in a temporary state, as deployed."""
    from recordings.domain.reconciliation import Deadlines

    configured = settings.DEADLINES()
    return Deadlines(
        begin=configured.begin,
        stop=configured.stop,
        session=configured.session,
        second_look=configured.confirmation,
        attempts=attempt_limits(),
    )


def attempt_limits() -> "AttemptLimits":
    """How often a file is tried, and the first pause between attempts, as deployed."""
    from recordings.domain.admission import AttemptLimits

    configured = settings.ATTEMPTS()
    return AttemptLimits(max_attempts=configured.max_attempts, first_pause=configured.first_pause)


def reconcile_recording(caller: "Caller", *, on_action: OnAction | None = None) -> "ReconcileRecording":
    """Build what webhook, sync and audit share. `on_action` is called after each action that had an effect."""
    from recordings.adapters.aws.executions import ProcessingStateMachine
    from recordings.adapters.dynamodb.recordings import DynamoRecordings
    from recordings.adapters.storage.r2 import R2Bucket
    from recordings.adapters.system import new_id, now
    from recordings.services.sync.reconcile_recording import ReconcileRecording

    return ReconcileRecording(
        recordings=DynamoRecordings(),
        provider=provider(caller),
        executions=ProcessingStateMachine(),
        store=R2Bucket(),
        clock=now,
        new_id=new_id,
        deadlines=deadlines(),
        on_action=on_action or (lambda action: None),
    )
