"""A Flask app whose people sign in with Authlib: `python authlib_flask.py PORT`."""

from __future__ import annotations

import os
import sys
from typing import Any

from authlib.integrations.flask_client import OAuth
from flask import Flask, jsonify, session

from webex import Integration
from webex.storage import SQLiteStorage
from webex.web.authlib import register

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SESSION_SECRET"]
oauth = OAuth(app)
register(oauth)
integration = Integration.from_env(storage=SQLiteStorage(os.path.join(os.environ["APP_FOLDER"], "app.db")))
register(oauth, "bad_issuer", issuers=("https://idbroker.webex.com/idb",))
if "OTHER_KEYS" in os.environ:
    register(oauth, "bad_keys", jwks_url=os.environ["OTHER_KEYS"])


def client(name: str) -> Any:
    return oauth.create_client(name)


@app.get("/<name>/login")
def login(name: str) -> Any:
    return client(name).authorize_redirect(os.environ["WEBEX_REDIRECT_URI"].replace("/webex/", f"/{name}/"))


@app.get("/<name>/callback")
def callback(name: str) -> Any:
    try:
        token = client(name).authorize_access_token()
    except Exception as error:  # Authlib's, and those of the library that checks signatures
        return jsonify({"refused": type(error).__name__}), 403
    person = token["userinfo"]
    integration.adopt(person["sub"], dict(token))
    session["user"] = person["sub"]
    return jsonify({"claims": sorted(person), "email": person["email"]})


@app.get("/me")
def me() -> Any:
    return jsonify(integration.user(session["user"]).people.me().emails[0])


if __name__ == "__main__":
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    make_server("127.0.0.1", int(sys.argv[1]), app, handler_class=Quiet).serve_forever()
