"""A request's way to the cloud and back: the layers, and the pipeline that composes them."""

from __future__ import annotations

from webex.http.hooks import Call, Hooks, Outcome
from webex.http.links import parse_link_header
from webex.http.pipeline import Pipeline, StreamedResponse
from webex.http.timing import asked_wait, parse_retry_after
from webex.http.types import HostPolicy, Part, Request, Response, Source, TokenSource

__all__ = [
    "Call",
    "Hooks",
    "HostPolicy",
    "Outcome",
    "Part",
    "Pipeline",
    "Request",
    "Response",
    "Source",
    "StreamedResponse",
    "TokenSource",
    "asked_wait",
    "parse_link_header",
    "parse_retry_after",
]
