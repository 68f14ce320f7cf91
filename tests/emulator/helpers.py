"""What the emulator's tests share: a browser and an app that speak plain HTTP."""

from __future__ import annotations

import hashlib
import html
import json
import re
import urllib.error
import urllib.request
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from webex.emulator import Cloud
from webex.emulator.accounts import CLIENT_ID, CLIENT_SECRET

CALLBACK = "http://127.0.0.1:4321/callback"
VERIFIER = "v" * 20 + "-._~" + "W" * 40
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def fetch(
    url: str,
    method: str = "GET",
    *,
    form: dict[str, str] | None = None,
    json_body: Any = None,
    data: bytes | None = None,
    token: str | None = None,
    basic: tuple[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    given = dict(headers or {})
    if form is not None:
        data, method = urlencode(form).encode(), "POST" if method == "GET" else method
        given.setdefault("content-type", "application/x-www-form-urlencoded")
    if json_body is not None:
        data, method = json.dumps(json_body).encode(), "POST" if method == "GET" else method
        given.setdefault("content-type", "application/json")
    if token is not None:
        given["authorization"] = f"Bearer {token}"
    if basic is not None:
        given["authorization"] = "Basic " + b64encode(":".join(basic).encode()).decode()
    request = urllib.request.Request(url, data=data, method=method, headers=given)
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return Answer(answer.status, _headers(answer), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _headers(error), error.read())


def _headers(answer: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def login_url(cloud: Cloud, path: str = "/v1/authorize", **changes: str | None) -> str:
    params: dict[str, str | None] = {
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid email spark:people_read spark:kms",
        "state": "st%te &=/ü",
        **changes,
    }
    return f"{cloud.url}{path}?{urlencode({k: v for k, v in params.items() if v is not None})}"


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def code_from(url: str) -> str:
    return query_of(url)["code"]


def exchange(cloud: Cloud, code: str, path: str = "/v1/access_token", **changes: str | None) -> Answer:
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code": code,
        "redirect_uri": CALLBACK,
        **changes,
    }
    return fetch(cloud.url + path, form={k: v for k, v in form.items() if v is not None})


def signed_in(cloud: Cloud, who: str = "alice", **changes: str | None) -> dict[str, Any]:
    answer = exchange(cloud, code_from(cloud.sign_in(login_url(cloud, **changes), as_=who)))
    assert answer.status == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refresh(cloud: Cloud, refresh_token: str, **changes: str) -> Answer:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes}
    return fetch(cloud.url + "/v1/access_token", form=form, basic=(CLIENT_ID, CLIENT_SECRET))


def is_live(cloud: Cloud, access_token: str) -> bool:
    return fetch(cloud.url + "/v1/authorizations/tokenExpiry", token=access_token).status == 200


@dataclass
class Page:
    """A page as a browser without scripts sees it: its form and the buttons in it."""

    url: str
    answer: Answer

    def press(self, text: str, headers: dict[str, str] | None = None, **typed: str) -> Answer:
        """Press the button that shows a text."""
        source = self.answer.text
        action = re.search(r'<form method="post" action="([^"]+)"', source)
        assert action is not None, source
        fields = {
            html.unescape(name): html.unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', source)
        }
        for attributes, inner in re.findall(r"<button([^>]*)>(.*?)</button>", source, re.DOTALL):
            if text in html.unescape(inner):
                pair = re.search(r'name="([^"]+)" value="([^"]+)"', attributes)
                if pair:
                    fields[pair[1]] = html.unescape(pair[2])
                return fetch(urljoin(self.url, action[1]), form={**fields, **typed}, headers=headers)
        raise AssertionError(f"no button shows {text!r}: {source}")
