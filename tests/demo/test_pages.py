"""Pages of the demo that are no room: what is not there, what can't be done."""

from __future__ import annotations

from pathlib import Path

import urllib3

from tests.support.ports import free_port
from tests.web.conftest import Server
from webex.demo.app import create_app
from webex.emulator import Cloud


def test_missing_pages_answer_html_or_json(webex_cloud: Cloud, tmp_path: Path) -> None:
    port = free_port()
    app = create_app(
        tmp_path / "demo.db",
        emulator_url=webex_cloud.url,
        client_id=webex_cloud.env["WEBEX_CLIENT_ID"],
        client_secret=webex_cloud.env["WEBEX_CLIENT_SECRET"],
        redirect_uri=f"http://127.0.0.1:{port}/auth/callback",
    )
    server = Server(app, port)
    try:
        with urllib3.PoolManager() as http:
            for method, path, status in (
                ("GET", "/nothing", 404),
                ("GET", "/static/nothing.css", 404),
                ("PUT", "/", 405),
                ("POST", "/rooms", 403),
            ):
                for accept, kind in (("text/html", "text/html"), ("application/json", "application/json")):
                    answer = http.request(
                        method, f"http://127.0.0.1:{port}{path}", headers={"accept": accept}, redirect=False
                    )
                    told = (answer.status, answer.headers["content-type"].split(";")[0])
                    assert told == (status, kind), (method, path)
    finally:
        server.stop()
