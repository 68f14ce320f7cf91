"""A function of AWS Lambda."""

from __future__ import annotations

import json
from typing import Any

import shared

from webex.errors import NotSignedInError
from webex.web.aws_lambda import LambdaRequest, WebexAuth

auth = WebexAuth(shared.integration(), session_secret=shared.SECRETS, **shared.OPTIONS)


@auth.handler
def application(request: LambdaRequest) -> dict[str, Any]:
    path, client = request.path, request.webex
    if path == "/who" and request.web.method == "POST" and not auth.is_same_origin(request.web):
        return {"statusCode": 403, "body": "no page of this app"}
    if path == "/":
        answer: Any = "public"
    elif path == "/who":
        answer = request.session.email if request.session else None
    elif path == "/me" or path.startswith("/rooms/"):
        if client is None:
            raise NotSignedInError("No user is signed in.")
        answer = client.people.me().emails[0]
    else:
        return {"statusCode": 404, "body": "no such page"}
    return {"statusCode": 200, "body": json.dumps(answer)}
