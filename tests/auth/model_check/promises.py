"""What holds at the end of every run; the exceptions are those that docs/storage-guarantees.md names."""

from __future__ import annotations

from tests.auth.model_check.world import KEY, ViolationError, World
from webex.auth.store import NAMESPACE
from webex.errors import DeadlineError, ReauthorizationRequiredError, StorageError, TransportError


def check_end(world: World) -> None:
    """Raise for what does not hold."""
    scenario, cloud, budget = world.scenario, world.cloud, world.budget
    stored = world.storage.entries.get((NAMESPACE, f"client/{KEY}"))
    if stored is None:
        raise ViolationError("the user's record is gone")
    record = stored[0]
    tokens = record["tokens"]
    may_lose = scenario.rotation == "strict" and bool(world.excuse)

    # One refresh, and one more at most for each thing that went wrong.
    if cloud.refreshes > 1 + budget.spent:
        raise ViolationError(f"{cloud.refreshes} refreshes, with {budget.spent} incidents")

    # What is stored can be refreshed again, and is not refused.
    if not cloud.accepts(tokens.get("refresh_token")) and not may_lose:
        raise ViolationError(f"the stored refresh token is lost ({sorted(world.excuse)})")
    if cloud.accepts(tokens.get("refresh_token")) and record.get("refusal") and not may_lose:
        raise ViolationError("a refusal is stored beside a refresh token that the cloud accepts")

    for call in world.calls:
        if call.worker.crashed:
            continue
        error = call.error
        if error is None:
            if call.token is None:
                raise ViolationError(f"{call.worker.name} got nothing")
            if call.token not in cloud.access_tokens and not may_lose and not scenario.anew:
                raise ViolationError(f"{call.worker.name} got {call.token}, which is dead")
        elif isinstance(error, ReauthorizationRequiredError):
            if not may_lose:
                raise ViolationError(f"{call.worker.name} was told to sign in again: {error.reason}")
            if error.reason != "outcome_unknown":
                raise ViolationError(f"the reason of the lost token is {error.reason}")
        elif isinstance(error, DeadlineError | TransportError | StorageError):
            if not budget.spent:
                raise ViolationError(f"{call.worker.name} failed with {type(error).__name__}")
        else:
            raise ViolationError(f"{call.worker.name} failed with {type(error).__name__}: {error}")
