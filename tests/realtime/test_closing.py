"""Close codes: what the JS SDK was recorded to do, and where ours goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webex.realtime.mercury.close_codes import CloseAction, after_close, after_refusal

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mercury-socket.json").read_text())
BEFORE = [row for row in VECTORS["close_before_authorised"] if "code" in row]
REFUSED = [row for row in VECTORS["close_before_authorised"] if "code" not in row]
AFTER = VECTORS["close_after_authorised"]

# The JS SDK ends listening for good on all of these; none says that this account may not listen.
GOES_ON = {1000, 1003, 1008, 1012, 1013, 3050, 4001, 4500}


def going_on(code: int) -> CloseAction:
    """What ours does where the JS SDK stops."""
    return {4401: CloseAction.REFRESH_TOKEN, 4404: CloseAction.REFRESH_DEVICE}.get(code, CloseAction.RECONNECT)


@pytest.mark.parametrize("row", AFTER, ids=lambda row: f"{row['code']} {row['reason']}")
def test_closed_while_listening(row: dict[str, Any]) -> None:
    code, reason = row["code"], row["reason"] or ""
    ours = after_close(None if code == 1006 else code, reason, ready=True)
    if row["reconnected"]:
        assert ours is CloseAction.RECONNECT
    elif "offline.replaced" in row["events"]:
        assert ours is CloseAction.REPLACED
    elif code in (4400, 4403):
        assert ours is CloseAction.REFUSED
    else:
        assert code in GOES_ON | {4401, 4404}
        assert ours is going_on(code)


@pytest.mark.parametrize("row", BEFORE, ids=lambda row: str(row["code"]))
def test_closed_before_the_state_frame(row: dict[str, Any]) -> None:
    kind = row["result"].partition(" ")[0]
    theirs = {
        "BadRequest": CloseAction.REFUSED,
        "Forbidden": CloseAction.REFUSED,
        "NotAuthorized": CloseAction.REFRESH_TOKEN,
        "UnknownResponse": CloseAction.REFRESH_DEVICE,
        "ConnectionError": CloseAction.RECONNECT,
    }[kind]
    on_purpose = {
        4000: CloseAction.REPLACED,
        4404: CloseAction.REFRESH_DEVICE,
    }  # a fight for one registration helps nobody
    assert after_close(row["code"], f"reason {row['code']}", ready=False) is on_purpose.get(row["code"], theirs)


@pytest.mark.parametrize("row", VECTORS["close_before_authorised_then_retry"], ids=str)
def test_close_action_before_the_state_frame_matches_the_js_sdk(row: dict[str, Any]) -> None:
    ours = after_close(row["code"], ready=False)
    if row["result"] != "connected":
        assert ours is CloseAction.REFUSED
    elif any(event.startswith("credentials.refresh") for event in row["events"]):
        assert ours is CloseAction.REFRESH_TOKEN
    elif "device.refresh" in row["events"]:
        assert ours is CloseAction.REFRESH_DEVICE
    else:
        assert row["code"] in (4000, 4404, 1006)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: str(row["upgrade_http_status"]))
def test_a_refused_upgrade_is_retried(row: dict[str, Any]) -> None:
    status = row["upgrade_http_status"]
    wanted = {401: CloseAction.REFRESH_TOKEN, 404: CloseAction.REFRESH_DEVICE}.get(status, CloseAction.RECONNECT)
    assert after_refusal(status) is wanted


@pytest.mark.parametrize("ready", [True, False])
def test_replaced_reason_is_recognized_without_a_code(ready: bool) -> None:
    assert after_close(1005, "Replaced", ready=ready) is CloseAction.REPLACED
    assert after_close(1005, " replaced ", ready=ready) is CloseAction.REPLACED


@pytest.mark.parametrize("ready", [True, False])
def test_a_broken_connection_is_reconnected(ready: bool) -> None:
    assert after_close(None, ready=ready) is CloseAction.RECONNECT


def test_only_three_codes_end_listening() -> None:
    ending = {
        code
        for code in (*range(1000, 1016), *range(3000, 5000))
        for ready in (True, False)
        if after_close(code, "whatever", ready=ready) in (CloseAction.REPLACED, CloseAction.REFUSED)
    }
    assert ending == {4000, 4400, 4403}
