"""The control API: the same as in process, for whoever is elsewhere, and not for web pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator.helpers import code_from, exchange, fetch, is_live, login_url, query_of, refresh, signed_in
from webex.emulator import Cloud, EmulatorClient, EmulatorError
from webex.emulator.accounts import ALICE_TOKEN

OPEN = {"x-webex-emulator": "1"}


@pytest.fixture
def remote(webex_cloud: Cloud) -> EmulatorClient:
    return EmulatorClient(webex_cloud.url)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**OPEN, "origin": "http://evil.example"},
        {**OPEN, "origin": "null"},
        {**OPEN, "origin": "http://127.0.0.1"},
        {**OPEN, "sec-fetch-site": "cross-site"},
        {**OPEN, "sec-fetch-site": "same-site"},
    ],
)
def test_a_web_page_cannot_use_it(webex_cloud: Cloud, headers: dict[str, str]) -> None:
    signed_in(webex_cloud)
    answer = fetch(webex_cloud.url + "/_emulator/reset", "POST", headers=headers)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert len(webex_cloud.state.refresh_tokens) == 1
    preflight = fetch(webex_cloud.url + "/_emulator/reset", "OPTIONS", headers={"origin": "http://evil.example"})
    assert preflight.status == 403


def test_a_rebound_host_name_cannot_use_it(webex_cloud: Cloud) -> None:
    headers = {**OPEN, "host": "evil.example"}
    assert fetch(webex_cloud.url + "/_emulator/env", headers=headers).status == 421


def test_control_calls_are_neither_logged_nor_faulted(webex_cloud: Cloud, remote: EmulatorClient) -> None:
    webex_cloud.faults.add("*", status=500)
    assert remote.env == webex_cloud.env
    assert len(remote.requests) == 0


def test_a_wrong_command_or_argument_is_explained(webex_cloud: Cloud, remote: EmulatorClient) -> None:
    with pytest.raises(EmulatorError, match=r"no command 'dance'.*add_person"):
        remote.command("dance")
    with pytest.raises(EmulatorError, match="carol"):
        remote.token_for("carol")
    with pytest.raises(EmulatorError, match="colour"):
        remote.requests.count(colour="red")
    with pytest.raises(EmulatorError, match="rotatoin"):
        remote.set(rotatoin="off")
    assert fetch(webex_cloud.url + "/_emulator/reset", headers=OPEN).status == 405
    assert fetch(webex_cloud.url + "/_emulator/clock", headers=OPEN).json()["result"] > 0
    bad = fetch(webex_cloud.url + "/_emulator/clock", "POST", json_body=[1], headers=OPEN)
    assert bad.status == 400


def test_a_missing_emulator_is_a_clear_error() -> None:
    with pytest.raises(EmulatorError, match="no emulator at"):
        EmulatorClient("http://127.0.0.1:1").reset()
    with pytest.raises(ValueError, match="not the URL"):
        EmulatorClient("localhost:8800")


def test_signing_in_denying_and_revoking(webex_cloud: Cloud, remote: EmulatorClient) -> None:
    tokens = exchange(webex_cloud, code_from(remote.sign_in(login_url(webex_cloud), as_="bob"))).json()
    assert is_live(webex_cloud, tokens["access_token"])
    assert query_of(remote.sign_in(login_url(webex_cloud), deny=True))["error"] == "access_denied"
    assert remote.revoke_consent("bob") == 2
    assert not is_live(webex_cloud, tokens["access_token"])


def test_clock_faults_and_log(webex_cloud: Cloud, remote: EmulatorClient) -> None:
    now = remote.clock.freeze()
    assert remote.clock.advance(60) == now + 60 == remote.clock.time()
    assert remote.clock.set(5000) == 5000
    remote.clock.run()
    webex_cloud.clock.reset()
    tokens = signed_in(webex_cloud)
    fault = remote.faults.add("*/access_token", status=500, count=1)
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 500
    assert remote.faults.as_list()[0]["hits"] == 1
    remote.faults.remove(fault)
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 200
    assert remote.requests.refreshes == 1
    assert remote.requests.count(grant_type="refresh_token") == 2
    assert remote.requests.find(status=500)[0].fault == "500"
    remote.requests.clear()
    assert len(remote.requests) == 0


def test_people_apps_tokens_and_devices(webex_cloud: Cloud, remote: EmulatorClient) -> None:
    carol = remote.add_person("carol@example.com", admin=True)
    assert webex_cloud.state.people[carol.id].admin
    app = remote.add_integration("Mine", redirect_uris=["http://127.0.0.1:1/cb"])
    assert app.client_secret not in repr(app)
    assert is_live(webex_cloud, remote.token_for("carol", lifetime=60))
    begun = fetch(webex_cloud.url + "/v1/device/authorize", form={"client_id": app.client_id, "scope": "openid"})
    remote.approve_device(begun.json()["user_code"], as_="carol")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": begun.json()["device_code"],
    }
    answer = fetch(webex_cloud.url + "/v1/device/token", form=form, basic=(app.client_id, app.client_secret))
    assert answer.status == 200


def test_state_can_be_saved_and_restored(webex_cloud: Cloud, remote: EmulatorClient, tmp_path: Path) -> None:
    snapshot = remote.snapshot()
    remote.add_person("carol@example.com")
    remote.save(tmp_path / "cloud.data")
    remote.restore(snapshot)
    with pytest.raises(EmulatorError, match="carol"):
        remote.token_for("carol")
    remote.load(tmp_path / "cloud.data")
    assert remote.token_for("carol")
    remote.load_seed({"people": [{"email": "dave@example.com"}]})
    remote.reset()
    assert remote.token_for("dave")
    with pytest.raises(EmulatorError, match="snapshot"):
        remote.command("restore", snapshot="AAAA")
    remote.settle()
    assert is_live(webex_cloud, ALICE_TOKEN)
