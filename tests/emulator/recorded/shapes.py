"""Compare an answer with a recorded shape: status, headers, fields, types, order of fields, and error text."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from webex.ids import is_hydra_id, is_uuid, parse_id

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_TRACKING = re.compile(r"ROUTERGW_[0-9a-f-]{36}|ROUTER_[0-9A-F-]+")
_KINDS = {"string": str, "bool": bool, "list": list, "object": dict}


@dataclass
class Answer:
    """What came back: of a request, or (status 0) to a webhook's target."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def differences(recorded: dict[str, Any], answer: Answer, base: str) -> list[str]:
    """Name everything in which an answer differs from its recording."""
    found = []
    if answer.status != recorded["status"]:
        found.append(f"status {answer.status}, not {recorded['status']}")
    for name, wanted in recorded.get("headers", {}).items():
        given = answer.headers.get(name)
        if given is None or not _fits(wanted, given.replace(base, "{base}")):
            found.append(f"header {name}: {given!r}, not {wanted!r}")
    if "message" in recorded:
        given = answer.body.get("message") if isinstance(answer.body, dict) else None
        if not _fits(recorded["message"], str(given)):
            found.append(f"message {given!r}, not {recorded['message']!r}")
    if "body" in recorded:
        whole = recorded.get("full", True)
        _compare(recorded["body"], answer.body, "", set(recorded.get("optional", ())), whole, found)
        if recorded.get("ordered", True) and not any(each.startswith(("lacks", "type")) for each in found):
            _compare_order(recorded["body"], answer.body, "", found)
    return found


def _compare(wanted: Any, given: Any, path: str, optional: set[str], whole: bool, found: list[str]) -> None:
    if isinstance(wanted, dict):
        if not isinstance(given, dict):
            found.append(f"type of {path}: {given!r} is no object")
            return
        found.extend(f"lacks {path}.{name}" for name in wanted if name not in given and name not in optional)
        if whole:
            found.extend(f"extra {path}.{name}" for name in given if name not in wanted and name not in optional)
        for name, inner in wanted.items():
            if name in given:
                _compare(inner, given[name], f"{path}.{name}", optional, whole, found)
    elif isinstance(wanted, list):
        if not isinstance(given, list):
            found.append(f"type of {path}: {given!r} is no list")
            return
        if not given and path == ".items":
            found.append(f"type of {path}: an empty list proves nothing")
        for item in given:
            _compare(wanted[0], item, f"{path}[]", optional, whole, found)
    elif not _is(wanted, given):
        found.append(f"type of {path}: {given!r} is no {wanted}")


def _compare_order(wanted: Any, given: Any, path: str, found: list[str]) -> None:
    if isinstance(wanted, dict):
        as_recorded = [name for name in wanted if name in given]
        as_given = [name for name in given if name in wanted]
        if as_recorded != as_given:
            found.append(f"order of {path or '.'}: {' '.join(as_given)}, not {' '.join(as_recorded)}")
        for name in as_given:
            _compare_order(wanted[name], given[name], f"{path}.{name}", found)
    elif isinstance(wanted, list):
        for item in given:
            _compare_order(wanted[0], item, f"{path}[]", found)


def _is(kind: str, value: Any) -> bool:
    if kind.startswith("="):
        return str(value) == kind[1:]
    if "|" in kind:
        return any(_is(each, value) for each in kind.split("|"))
    if kind == "null":
        return value is None
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in _KINDS:
        return isinstance(value, _KINDS[kind])
    if not isinstance(value, str):
        return False
    if kind.startswith("hydra:"):
        return is_hydra_id(value) and parse_id(value).kind == kind[6:]
    if kind == "base64(uuid)":
        return is_uuid(b64decode(value + "===").decode("ascii", "replace"))
    checks = {
        "iso-ms": lambda: _MOMENT.fullmatch(value) is not None,
        "tracking": lambda: _TRACKING.fullmatch(value) is not None,
        "email": lambda: value.count("@") == 1,
        "url": lambda: value.startswith(("http://", "https://", "ws://", "wss://")),
        "ws": lambda: value.startswith(("ws://", "wss://")),
        "uuid": lambda: is_uuid(value),
    }
    return bool(checks[kind]())


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\{any\}", r"[^\n]*"), text, re.DOTALL) is not None
