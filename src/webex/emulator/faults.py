"""Misbehaviour on demand: what goes wrong, where, how often."""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Literal, get_type_hints
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from webex.emulator.wire import Call, Reply

BrokenNext = Literal["filters", "null", "elsewhere", "garbage"]
_HTML: Final = "<html><body><h1>Bad gateway</h1></body></html>"


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong, for requests whose method and path fit (`*` in the path stands for anything).

    How often: `count` times (None: always), each with chance `rate`, after `skip` requests that go well.
    What: any of the other fields together. Times are real seconds.
    """

    path: str = "*"
    method: str | None = None
    count: int | None = None
    rate: float = 1.0
    skip: int = 0
    seed: int = 0
    grant_type: str | None = None  # only token requests with this grant
    after_processing: bool = False  # the cloud does what was asked, and only the answer suffers

    status: int | None = None  # answer this instead
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: str | float | None = None  # a number, or any text: seconds, a date, `rand(30),add(30)`
    body: str | dict[str, Any] | list[Any] | None = None  # answer this text, or this JSON
    content_type: str | None = None
    not_json: bool = False  # an HTML page that says it is JSON
    latency: float = 0.0  # wait before anything happens, or (after_processing) before the answer
    drop: bool = False  # close the connection without an answer
    drip: float = 0.0  # send the body a byte at a time, with this pause between
    truncate: bool = False  # announce the whole body, send half of it, close
    broken_next: BrokenNext | None = None  # lose the filters, say max=null, lead elsewhere, or be no link at all

    id: int = 0
    hits: int = 0
    _seen: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    @property
    def retry_after_text(self) -> str | None:
        """`retry_after` as a header has it."""
        if self.retry_after is None or isinstance(self.retry_after, str):
            return self.retry_after
        value = self.retry_after
        return str(int(value)) if float(value).is_integer() else repr(value)

    def __post_init__(self) -> None:
        if self.status is not None and not (isinstance(self.status, int) and 100 <= self.status <= 599):
            raise ValueError(f"status {self.status!r} is not an HTTP status")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate {self.rate} is not between 0 and 1")
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose

    def strikes(self, method: str, path: str, grant_type: str | None) -> bool:
        """Whether this request goes wrong; counts it."""
        if self.method is not None and self.method.upper() != method:
            return False
        if not fnmatchcase(path, self.path) or (self.grant_type is not None and self.grant_type != grant_type):
            return False
        self._seen += 1
        if self._seen <= self.skip or (self.count is not None and self.hits >= self.count):
            return False
        if self.rate < 1 and self._random.random() >= self.rate:
            return False
        self.hits += 1
        return True

    @property
    def answers(self) -> bool:
        """Whether it takes the place of the cloud's own answer."""
        return self.status is not None or self.drop

    @property
    def name(self) -> str:
        """What goes wrong, in a word or two, for the log of requests."""
        kinds = ("drop", "drip", "truncate", "latency", "not_json", "broken_next", "body", "retry_after", "headers")
        found = [kind for kind in kinds if getattr(self, kind)]
        return ", ".join([*([str(self.status)] if self.status else []), *found])

    def reply(self) -> Reply:
        """Return the answer instead of the cloud's own."""
        status = self.status or 500
        text = f"A fault was injected: status {status}."
        return Reply(status, {"message": text, "errors": [{"description": text}], "trackingId": ""})

    def spoil(self, reply: Reply, call: Call) -> Reply:
        """Bend an answer's head and body."""
        headers = {name.lower(): value for name, value in reply.headers.items()} | {
            name.lower(): value for name, value in self.headers.items()
        }
        if (asked := self.retry_after_text) is not None:
            headers["retry-after"] = asked
        if self.broken_next is not None and "link" in headers:
            headers["link"] = _break(headers["link"], self.broken_next)
        body, content_type = reply.body, reply.content_type
        if self.not_json:
            body = _HTML
        if self.body is not None:
            body = self.body
        if isinstance(body, dict) and body.get("trackingId") == "":
            body = {**body, "trackingId": call.tracking_id}
        return Reply(reply.status, body, headers, self.content_type or content_type, reply.stream)


class FaultPlan:
    """The faults that are set; the first that fits a request strikes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._last_id = 0

    def add(self, path: str = "*", **what: Any) -> Fault:
        """Let something go wrong; see `Fault` for what and how often. Gives the fault, whose `hits` counts.

        `add("/v1/rooms", status=429, retry_after="2", count=1)`, `add("/v1/*", rate=0.1, seed=7, status=503)`,
        `add("*/access_token", drop=True, after_processing=True, count=1)`.
        """
        if any(name.startswith("_") or name in ("hits", "id") for name in what):
            raise TypeError("hits, id and private fields of a fault cannot be set")
        fault = Fault(path=path, **what)
        try:
            # Whatever comes over HTTP: a fault of a wrong type would break every later request.
            msgspec.convert({"path": path, **what}, type=_fields())
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        with self._lock:
            self._last_id += 1
            fault.id = self._last_id
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._faults.clear()

    def remove(self, fault: Fault | int) -> None:
        """Take one fault away: the fault itself, or its id."""
        number = fault if isinstance(fault, int) else fault.id
        with self._lock:
            self._faults = [other for other in self._faults if other.id != number]

    def strike(self, method: str, path: str, grant_type: str | None) -> Fault | None:
        """Return the fault for a request, and count it."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.strikes(method, path, grant_type):
                    return fault
        return None

    def as_list(self) -> list[dict[str, Any]]:
        """Return the faults as plain data."""
        with self._lock:
            return [{k: v for k, v in asdict(fault).items() if not k.startswith("_")} for fault in self._faults]


@lru_cache(maxsize=1)
def _fields() -> type[msgspec.Struct]:
    """Describe the fields of a fault that may be set, with their types."""
    names = [each for each in fields(Fault) if each.init and not each.name.startswith("_")]
    hints = get_type_hints(Fault)
    return msgspec.defstruct("FaultFields", [(each.name, hints[each.name], None) for each in names])


def _break(link: str, how: BrokenNext) -> str:
    url, bracket, rest = link.removeprefix("<").partition(">")
    if how == "garbage" or not bracket:
        return "<<>>;rel=next,;="
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if how == "filters":
        query = {name: value for name, value in query.items() if name in ("cursor", "beforeMessage", "max")}
    elif how == "null":
        query["max"] = "null"
    else:
        parts = parts._replace(scheme="https", netloc="webexapis.com.evil.example")
    return f"<{urlunsplit(parts._replace(query=urlencode(query)))}>{rest}"
