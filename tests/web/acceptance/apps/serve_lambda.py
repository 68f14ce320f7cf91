"""A gateway on this machine: `python serve_lambda.py MODULE PORT KIND`, with a KIND of `EVENTS`.

It turns requests into the events of AWS, and answers of a function into responses, by the rules that AWS documents:
an API Gateway decodes queries (and in payload 2.0 the path), has cookies apart in payload 2.0, and takes lists of
values in `multiValueHeaders`; a load balancer decodes nothing, and takes either lists or single values. What AWS would
refuse is an error here. With `APP_PREFIX` the API has a stage of that name.
"""

from __future__ import annotations

import importlib
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

Pairs = list[tuple[str, str]]


def many(pairs: Pairs) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def payload_1(request: Any, path: str, query: str, stage: str) -> dict[str, Any]:
    below = path.removeprefix(f"/{stage}") if stage else path
    queries = parse_qsl(query, keep_blank_values=True)
    return {
        "version": "1.0",
        "resource": "/{proxy+}",
        "path": below or "/",
        "httpMethod": request.command,
        "headers": dict(request.headers.items()),
        "multiValueHeaders": many(request.headers.items()),
        "queryStringParameters": dict(queries) or None,
        "multiValueQueryStringParameters": many(queries) or None,
        "requestContext": {
            "stage": stage or "live",
            "path": path,
            "httpMethod": request.command,
            "identity": {"sourceIp": "127.0.0.1"},
        },
    }


def payload_2(request: Any, path: str, query: str, stage: str) -> dict[str, Any]:
    cookies = request.headers.get_all("cookie") or []
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(path),
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in request.headers.items() if name.lower() != "cookie"},
        "requestContext": {
            "stage": stage or "$default",
            "http": {"method": request.command, "path": unquote(path), "sourceIp": "127.0.0.1"},
        },
    }
    if cookies:
        event["cookies"] = [each.strip() for value in cookies for each in value.split(";")]
    return event


def load_balancer(request: Any, path: str, query: str, *, lists: bool) -> dict[str, Any]:
    queries = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    sent = [value for name, value in headers if name == "x-forwarded-for"]
    headers = [*(pair for pair in headers if pair[0] != "x-forwarded-for")]
    headers.append(("x-forwarded-for", ", ".join([*sent, "127.0.0.1"])))
    event = {"requestContext": {"elb": {"targetGroupArn": "arn:x"}}, "httpMethod": request.command, "path": path}
    if lists:
        return {**event, "multiValueHeaders": many(headers), "multiValueQueryStringParameters": many(queries)}
    return {**event, "headers": dict(headers), "queryStringParameters": dict(queries)}


EVENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "payload-1.0": payload_1,
    "payload-2.0": payload_2,
    "alb": lambda request, path, query, stage: load_balancer(request, path, query, lists=True),
    "alb-single": lambda request, path, query, stage: load_balancer(request, path, query, lists=False),
}


def headers_of(answer: dict[str, Any], kind: str) -> Pairs:
    single = list((answer.get("headers") or {}).items())
    lists = [(name, each) for name, values in (answer.get("multiValueHeaders") or {}).items() for each in values]
    if kind == "payload-2.0":
        assert not lists, "payload 2.0 knows no multiValueHeaders"
        return [*single, *(("set-cookie", cookie) for cookie in answer.get("cookies", ()))]
    assert "cookies" not in answer, "only payload 2.0 takes cookies"
    if kind == "payload-1.0":
        return [*single, *lists]
    return lists if kind == "alb" else single


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    function: Any
    kind: str

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        prefix = os.environ.get("APP_PREFIX", "").strip("/")
        stage = prefix if prefix and (path + "/").startswith(f"/{prefix}/") else ""
        event = EVENTS[self.kind](self, path, query, stage)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        event |= {"body": b64encode(body).decode() if body else None, "isBase64Encoded": bool(body)}
        answer = Gateway.function(event, None)
        sent = answer.get("body", "")
        sent = b64decode(sent) if answer.get("isBase64Encoded") else sent.encode()
        self.send_response(answer["statusCode"])
        for name, value in headers_of(answer, self.kind):
            self.send_header(name, value)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64


if __name__ == "__main__":
    Gateway.function = staticmethod(importlib.import_module(sys.argv[1]).application)
    Gateway.kind = sys.argv[3]
    Server(("127.0.0.1", int(sys.argv[2])), Gateway).serve_forever()
