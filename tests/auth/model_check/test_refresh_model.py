"""Every interleaving of a few workers keeps the promises of a refresh, and broken code is found out."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.auth.model_check.explorer import explore
from tests.auth.model_check.scenarios import SHORT
from tests.auth.model_check.world import Scenario
from tests.support.quiet import QUIET
from webex.auth import CredentialStore, TokenSet
from webex.auth.refresh import Refresher
from webex.auth.unsaved import UnsavedTokens


@pytest.fixture(autouse=True)
def same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the longest of each random pause, and write no log."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    for module in ("refresh", "unsaved"):
        monkeypatch.setattr(f"webex.auth.{module}._logger", QUIET)


@pytest.mark.parametrize("scenario", SHORT, ids=str)
def test_every_interleaving_keeps_the_invariants(scenario: Scenario) -> None:
    found = explore(scenario)
    assert found.violation is None, found
    assert found.complete, found
    assert found.ended > 5, found  # there was something to explore


def save_without_comparing(patch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    async def swap(self: CredentialStore, key: str, record: Any, **changes: Any) -> Any:
        changed = replace(record, **changes)
        await self._access.put("credentials", self.path(key), changed.to_json())
        return replace(changed, version=(await self._access.get_versioned("credentials", self.path(key))).version)

    patch.setattr(CredentialStore, "swap", swap)


def take_newer_tokens_for_the_same(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("webex.auth.unsaved.is_newer", lambda stored, ours: False)


def send_without_marking_the_attempt(patch: pytest.MonkeyPatch) -> None:
    swap = CredentialStore.swap

    async def unmarked(self: CredentialStore, key: str, record: Any, **changes: Any) -> Any:
        if changes.get("attempt") is not None:
            return record
        return await swap(self, key, record, **changes)

    patch.setattr(CredentialStore, "swap", unmarked)


def release_the_lease_before_the_save(patch: pytest.MonkeyPatch) -> None:
    save = Refresher._save

    async def released(self: Refresher, run: Any, record: Any, tokens: Any, parent: str, lease: Any) -> Any:
        await lease.release()
        return await save(self, run, record, tokens, parent, lease)

    patch.setattr(Refresher, "_save", released)


def refresh_without_a_lease(patch: pytest.MonkeyPatch) -> None:
    class Nothing:
        async def renew(self, ttl: float) -> bool:
            return True

        async def release(self) -> None:
            pass

    async def lease(self: CredentialStore, key: str, ttl: float) -> Any:
        return Nothing()

    patch.setattr(CredentialStore, "lease", lease)


def forget_the_old_refresh_token(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TokenSet, "after", lambda self, old: self)


def forget_tokens_that_could_not_be_saved(patch: pytest.MonkeyPatch) -> None:
    async def nothing(self: UnsavedTokens, key: str, lease: Any) -> None:
        self._pending.pop(key, None)

    patch.setattr(UnsavedTokens, "keep", nothing)


def take_any_sign_in_for_the_same(patch: pytest.MonkeyPatch) -> None:
    async def overtaken(self: UnsavedTokens, key: str, unsaved: Any, stored: Any) -> bool:
        return stored is None

    patch.setattr(UnsavedTokens, "_overtaken", overtaken)


def give_up_without_looking_again(patch: pytest.MonkeyPatch) -> None:
    async def nothing(self: Refresher, run: Any, asked: Any) -> None:
        return None

    patch.setattr(Refresher, "_saved_by_another", nothing)


FAULTS = [
    (save_without_comparing, Scenario("grace", 2, pauses=1), "an older token over a newer"),
    (take_newer_tokens_for_the_same, Scenario("grace", 2, pauses=1), "an older token over a newer"),
    (take_any_sign_in_for_the_same, Scenario("grace", 2, anew=True), "an older token over a newer"),
    (send_without_marking_the_attempt, Scenario("strict", 2, crashes=1), "the reason of the lost token is refused"),
    (release_the_lease_before_the_save, Scenario("off", 2), "2 refreshes, with 0 incidents"),
    (refresh_without_a_lease, Scenario("off", 2), "2 refreshes, with 0 incidents"),
    (forget_the_old_refresh_token, Scenario("off", 2), "the stored refresh token is lost"),
    (forget_tokens_that_could_not_be_saved, Scenario("strict", 2, faults=3), "lost"),
    (give_up_without_looking_again, Scenario("off", 2, pauses=1), "another worker had saved newer tokens"),
]


@pytest.mark.parametrize(("fault", "scenario", "words"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
def test_broken_code_is_detected(monkeypatch: pytest.MonkeyPatch, fault: Any, scenario: Scenario, words: str) -> None:
    fault(monkeypatch)
    found = explore(scenario)
    assert found.violation is not None, found
    assert words in found.violation, found
    assert found.trace
