"""The budget of calls to Cloudflare: one for the whole deployment.

Cloudflare allows 1,200 calls in five minutes for each token and blocks every call for five minutes after a breach
(fundamentals/api/reference/limits). So calls are counted by the minute in one item of the table: people's calls may
take all of a minute's budget, webhooks and runs only a part of it, and the sweep a smaller one. However many recordings
are fetched, and however often a webhook comes, something is left for the next start and stop. Every call that is sent
is counted, repeats after a fault too. Five minutes touch six of ours at most, by default 1,140 calls: the rest is room
for the dashboard, which shares the limit. One conditional write a call is all that it costs.
"""

import os
import time
from collections.abc import Mapping
from typing import Final, Literal

from recordings.adapters.aws.errors import CONDITION_FAILED, Refused, translated_errors
from recordings.adapters.dynamo import TABLE, client
from recordings.domain.errors import ProviderThrottled, Throttled

PERIOD_SECONDS: Final = 60
type Caller = Literal["people", "runs", "sweep"]
# What may be taken of it: by whoever waits for an answer, by webhooks and workflows, by what nobody waits for.
SHARES: Final[Mapping[Caller, float]] = {"people": 1, "runs": 0.8, "sweep": 0.6}
KEY: Final = {"pk": {"S": "BUDGET"}, "sk": {"S": "CLOUDFLARE"}}
OPEN: Final = "(attribute_not_exists(blocked_until) OR blocked_until <= :now)"
TRIES: Final = 5


class CallBudget:
    """Implements realtimekit.Budget."""

    def __init__(self, caller: Caller = "people") -> None:
        self._limit = int(int(os.environ["CLOUDFLARE_CALLS_PER_MINUTE"]) * SHARES[caller])

    def spend(self) -> None:
        """Take one call out of the budget. Raises ProviderThrottled when there is none, or Cloudflare blocks."""
        for _ in range(TRIES):
            now = time.time()
            period = int(now // PERIOD_SECONDS)
            held = self._try("SET calls = calls + :one", f"period = :period AND calls < :limit AND {OPEN}", now, period)
            if held is None:
                return
            blocked = float(held.get("blocked_until", {}).get("N", 0))
            if blocked > now:
                raise ProviderThrottled("Cloudflare limits the rate of calls", retry_after=int(blocked - now) + 1)
            if int(held.get("period", {}).get("N", 0)) >= period:
                raise ProviderThrottled(
                    "the budget of calls to Cloudflare is spent",
                    retry_after=int((period + 1) * PERIOD_SECONDS - now) + 1,
                )
            begun = "attribute_not_exists(period) OR period < :period"
            if self._try("SET period = :period, calls = :one", f"({begun}) AND {OPEN}", now, period) is None:
                return
        raise Throttled("the budget of calls is contended; try again in a moment", retry_after=1)

    def _try(self, change: str, condition: str, now: float, period: int) -> dict[str, dict[str, str]] | None:
        """Change the budget; gives None when that was done, else the item as it is."""
        values = {":now": str(now), ":period": str(period), ":one": "1", ":limit": str(self._limit)}
        used = {name: {"N": value} for name, value in values.items() if name in f"{change} {condition}"}
        try:
            with translated_errors(CONDITION_FAILED):
                client.update_item(
                    TableName=TABLE,
                    Key=KEY,
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=used,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except Refused as refusal:
            item: dict[str, dict[str, str]] = refusal.response.get("Item", {})
            return item
        return None

    def block(self, seconds: int) -> None:
        """Let nobody call for so long: Cloudflare said so. A longer block that stands is not shortened."""
        try:
            with translated_errors(CONDITION_FAILED):
                client.update_item(
                    TableName=TABLE,
                    Key=KEY,
                    UpdateExpression="SET blocked_until = :until",
                    ConditionExpression="attribute_not_exists(blocked_until) OR blocked_until < :until",
                    ExpressionAttributeValues={":until": {"N": str(time.time() + seconds)}},
                )
        except Refused:
            # A longer block stands, or this one, whose answer was lost.
            return
