"""Serves an aiohttp app with aiohttp's own server: `python serve_aiohttp.py MODULE PORT`."""

from __future__ import annotations

import importlib
import sys

from aiohttp import web

if __name__ == "__main__":
    application = importlib.import_module(sys.argv[1]).application
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)
