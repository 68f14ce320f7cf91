"""A Flask app, made by a factory, with its pages in a blueprint."""

from __future__ import annotations

import os
from typing import Any

import shared
from flask import Blueprint, Flask, Response, jsonify

from webex.web.flask import WebexAuth, current_session, current_webex, login_required, same_origin_required

auth = WebexAuth(session=os.environ.get("APP_SESSION", "webex"), **shared.OPTIONS)  # type: ignore[arg-type]  # one of two
pages = Blueprint("pages", __name__)


@pages.get("/")
def public() -> Any:
    return jsonify("public")


@pages.get("/who")
def who() -> Any:
    return jsonify(current_session.email if current_session else None)


@pages.post("/who")
@same_origin_required
@login_required
def change() -> Any:
    return jsonify(current_webex.people.me().emails[0])


@pages.get("/me")
@login_required
def me() -> Any:
    return jsonify(current_webex.people.me().emails[0])


@pages.get("/rooms/<path:rest>")
@login_required
async def rooms(rest: str) -> Any:
    return jsonify(current_webex.people.me().emails[0])


@pages.get("/stream")
def stream() -> Any:
    return Response(shared.pieces())


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(SECRET_KEY=shared.SECRETS[0], SECRET_KEY_FALLBACKS=shared.SECRETS[1:])
    auth.init_app(app, shared.integration())
    app.register_blueprint(pages)
    return app


application = shared.mounted_wsgi(create_app())
