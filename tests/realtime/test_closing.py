"""Close codes: what the JS SDK was recorded to do, and where ours goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webex.realtime.closing import Next, after_close, after_refusal

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mercury-socket.json").read_text())
BEFORE = [row for row in VECTORS["close_before_authorised"] if "code" in row]
REFUSED = [row for row in VECTORS["close_before_authorised"] if "code" not in row]
AFTER = VECTORS["close_after_authorised"]

# The JS SDK ends listening for good on all of these; none says that this account may not listen.
GOES_ON = {1000, 1003, 1008, 1012, 1013, 3050, 4001, 4500}


def going_on(code: int) -> Next:
    """What ours does where the JS SDK stops."""
    return {4401: Next.REFRESH_TOKEN, 4404: Next.REFRESH_DEVICE}.get(code, Next.RECONNECT)


@pytest.mark.parametrize("row", AFTER, ids=lambda row: f"{row['code']} {row['reason']}")
def test_closed_while_listening(row: dict[str, Any]) -> None:
    code, reason = row["code"], row["reason"] or ""
    ours = after_close(None if code == 1006 else code, reason, ready=True)
    if row["reconnected"]:
        assert ours is Next.RECONNECT
    elif "offline.replaced" in row["events"]:
        assert ours is Next.REPLACED
    elif code in (4400, 4403):
        assert ours is Next.REFUSED
    else:
        assert code in GOES_ON | {4401, 4404}
        assert ours is going_on(code)


@pytest.mark.parametrize("row", BEFORE, ids=lambda row: str(row["code"]))
def test_closed_before_the_state_frame(row: dict[str, Any]) -> None:
    kind = row["result"].partition(" ")[0]
    theirs = {
        "BadRequest": Next.REFUSED,
        "Forbidden": Next.REFUSED,
        "NotAuthorized": Next.REFRESH_TOKEN,
        "UnknownResponse": Next.REFRESH_DEVICE,
        "ConnectionError": Next.RECONNECT,
    }[kind]
    on_purpose = {4000: Next.REPLACED, 4404: Next.REFRESH_DEVICE}  # a fight for one registration helps nobody
    assert after_close(row["code"], f"reason {row['code']}", ready=False) is on_purpose.get(row["code"], theirs)


@pytest.mark.parametrize("row", VECTORS["close_before_authorised_then_retry"], ids=str)
def test_what_comes_before_the_next_try(row: dict[str, Any]) -> None:
    ours = after_close(row["code"], ready=False)
    if row["result"] != "connected":
        assert ours is Next.REFUSED
    elif any(event.startswith("credentials.refresh") for event in row["events"]):
        assert ours is Next.REFRESH_TOKEN
    elif "device.refresh" in row["events"]:
        assert ours is Next.REFRESH_DEVICE
    else:
        assert row["code"] in (4000, 4404, 1006)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: str(row["upgrade_http_status"]))
def test_a_refused_upgrade_is_tried_again(row: dict[str, Any]) -> None:
    status = row["upgrade_http_status"]
    wanted = {401: Next.REFRESH_TOKEN, 404: Next.REFRESH_DEVICE}.get(status, Next.RECONNECT)
    assert after_refusal(status) is wanted


@pytest.mark.parametrize("ready", [True, False])
def test_replaced_may_be_said_without_a_code(ready: bool) -> None:
    assert after_close(1005, "Replaced", ready=ready) is Next.REPLACED
    assert after_close(1005, " replaced ", ready=ready) is Next.REPLACED


@pytest.mark.parametrize("ready", [True, False])
def test_a_cut_connection_is_made_again(ready: bool) -> None:
    assert after_close(None, ready=ready) is Next.RECONNECT


def test_only_three_codes_end_listening() -> None:
    ending = {
        code
        for code in (*range(1000, 1016), *range(3000, 5000))
        for ready in (True, False)
        if after_close(code, "whatever", ready=ready) in (Next.REPLACED, Next.REFUSED)
    }
    assert ending == {4000, 4400, 4403}
