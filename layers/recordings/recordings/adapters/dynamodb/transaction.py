"""Several items written together or not at all."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from pynamodb.constants import ALL_OLD
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from recordings.adapters.aws.errors import CANCELED, Refused, is_answered
from recordings.adapters.dynamodb.connection import Item, call
from recordings.adapters.dynamodb.spread import SPREAD, Spread
from recordings.adapters.dynamodb.writes import (
    MAX_ATTEMPTS,
    Otherwise,
    busy,
    concurrent_update,
    jittered_pause,
    with_kind,
)
from recordings.domain.errors import InfrastructureError, Throttled

CONFLICT: Final = "TransactionConflict"
# Reasons of a cancellation after which the same transaction can succeed (API Reference, TransactWriteItems).
TRANSIENT_REASONS: Final = frozenset({CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded"})


class Transaction:
    """Write several items or none, and raise the error of the condition that failed.

        with Transaction() as transaction:
            transaction.save(item, Item.pk.does_not_exist(), otherwise=lambda _: ConcurrentUpdate("it exists"))
            transaction.update(other, [OtherItem.total.add(1)])

    Actions are sent in the order of the code, and the first failed condition in that order decides the error.
    pynamodb's TransactWrite is not used: it sends checks, deletes, puts and updates, whatever the order of the code,
    and cannot ask for the item of a delete or check that failed. An item may appear in one action only: DynamoDB
    rejects the whole request otherwise.

    Raises (at the end of the block, or from `commit`):
        The error that `otherwise` returns
        Throttled: the table is busy, or does not respond: then it is unknown whether all or nothing was written
        InfrastructureError: it can never be written
    """

    def __init__(self, spread: Spread = SPREAD) -> None:
        self._spread = spread
        self._actions: list[dict[str, Any]] = []
        self._refusals: list[tuple[type[Item], Otherwise[Any]]] = []
        # The actions on counters that have parts, by their place, and the tenant whose they are.
        self._spread_actions: dict[int, Callable[[int], dict[str, Any]]] = {}
        self._tenant_id = ""

    def require[I: Item](self, item: I, condition: Condition, *, otherwise: Otherwise[I]) -> None:
        """Check a condition on an item that the transaction does not write."""
        arguments = item.get_delete_kwargs_from_instance(
            condition=condition, return_values_on_condition_failure=ALL_OLD
        )
        self._add("ConditionCheck", item, arguments, otherwise)

    def save[I: Item](
        self, item: I, condition: Condition | None = None, *, otherwise: Otherwise[I] = concurrent_update
    ) -> None:
        """Replace or create an item."""
        arguments = item.get_save_kwargs_from_instance(
            condition=condition, return_values_on_condition_failure=_returned(condition)
        )
        self._add("Put", item, arguments, otherwise)

    def update[I: Item](
        self,
        item: I,
        actions: Sequence[Action],
        condition: Condition | None = None,
        *,
        otherwise: Otherwise[I] = concurrent_update,
    ) -> None:
        """Change an item, or create it with what the actions name."""
        arguments = item.get_update_kwargs_from_instance(
            with_kind(item, actions), condition=condition, return_values_on_condition_failure=_returned(condition)
        )
        self._add("Update", item, arguments, otherwise)

    def delete[I: Item](
        self, item: I, condition: Condition | None = None, *, otherwise: Otherwise[I] = concurrent_update
    ) -> None:
        """Remove an item; without a condition, nothing if there is none."""
        arguments = item.get_delete_kwargs_from_instance(
            condition=condition, return_values_on_condition_failure=_returned(condition)
        )
        self._add("Delete", item, arguments, otherwise)

    def update_part[I: Item](self, tenant_id: str, item_of: Callable[[int], I], actions: Sequence[Action]) -> None:
        """Change one part of a tenant's counters: `item_of` returns the item of a part.

        After a conflict the transaction is sent with another part, the same one for all its counters. All counters of a
        transaction are of one tenant.
        """

        def action_on(part: int) -> dict[str, Any]:
            item = item_of(part)
            return {"Update": item.get_update_kwargs_from_instance(with_kind(item, actions))}

        self._tenant_id = tenant_id
        self._spread_actions[len(self._actions)] = action_on
        self._actions.append({})
        self._refusals.append((Item, concurrent_update))

    def _add(self, name: str, item: Item, arguments: dict[str, Any], otherwise: Otherwise[Any]) -> None:
        self._actions.append({name: arguments})
        self._refusals.append((type(item), otherwise))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.commit()

    def commit(self) -> None:
        """Write what was added."""
        # One token for all repeats of one attempt, botocore's too: a lost response must not look like a refusal.
        token = secrets.token_hex(16)
        last: Throttled | None = None
        self._pick_part()
        for attempt in range(MAX_ATTEMPTS):
            try:
                call("TransactWriteItems", {"TransactItems": self._actions, "ClientRequestToken": token}, CANCELED)
                return
            except Refused as refusal:
                self._raise_unless_transient(refusal)
                # Nothing was written, so the next attempt is a new request, which may add to another part.
                token = secrets.token_hex(16)
                self._spread_if_conflicting(refusal)
                self._pick_part()
            except Throttled as error:
                if not is_answered(error):
                    # botocore has sent it three times with this token, and waited for the response as often.
                    raise
                # The outcome may be unknown, or the transaction in progress: the same token asks about the same one.
                last = error
            jittered_pause(attempt)
        raise busy() from last

    def _pick_part(self) -> None:
        if self._spread_actions:
            part = self._spread.pick_part(self._tenant_id)
            for at, action_on in self._spread_actions.items():
                self._actions[at] = action_on(part)

    def _spread_if_conflicting(self, refusal: Refused) -> None:
        reasons: Sequence[Mapping[str, Any]] = refusal.response.get("CancellationReasons", [])
        if any(reason.get("Code") == CONFLICT and at in self._spread_actions for at, reason in enumerate(reasons)):
            self._spread.widen(self._tenant_id)

    def _raise_unless_transient(self, refusal: Refused) -> None:
        reasons: Sequence[Mapping[str, Any]] = refusal.response.get("CancellationReasons", [])
        for reason, (cls, otherwise) in zip(reasons, self._refusals, strict=False):
            if reason.get("Code") == "ConditionalCheckFailed":
                raw = reason.get("Item")
                raise otherwise(cls.from_raw_data(raw) if raw else None) from refusal
        if not any(reason.get("Code") in TRANSIENT_REASONS for reason in reasons):
            codes = sorted({str(reason.get("Code")) for reason in reasons})
            raise InfrastructureError(f"a transaction was cancelled: {', '.join(codes)}") from refusal.__cause__


def _returned(condition: Condition | None) -> str | None:
    return ALL_OLD if condition is not None else None
