"""Serves a WSGI app with the standard library, a thread for each request: `python serve_wsgiref.py MODULE PORT`."""

from __future__ import annotations

import importlib
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        return


if __name__ == "__main__":
    application = importlib.import_module(sys.argv[1]).application
    make_server(
        "127.0.0.1", int(sys.argv[2]), application, server_class=ThreadingServer, handler_class=QuietHandler
    ).serve_forever()
