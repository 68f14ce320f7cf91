"""The log on the page about logging is the one that its code writes, and its table has every event."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import count
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, named
from tests.docs.test_code_blocks import run
from webex import telemetry

PAGE = ROOT / "docs" / "logging.md"
_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<rest>(?:DEBUG|INFO|WARNING|ERROR) .*)")
_TRACKING_ID = re.compile(r"\[webex-python-sdk_[0-9a-f-]{36}_\d+\]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def shown(log: str) -> str:
    """A log as the page shows it: nothing in it that differs from run to run."""
    numbers = defaultdict(count(1).__next__)
    lines = [found["rest"] for line in log.splitlines() if (found := _LINE.fullmatch(line))]
    text = "\n".join(lines) + "\n"
    text = _TRACKING_ID.sub(lambda found: f"[#{numbers[found[0]]}]", text)
    text = _MOMENT.sub("…", _UUID.sub("alice", text))
    text = re.sub(r"valid for \d+ s", "valid for 14 days", text)
    return re.sub(r"\b\d+(?:\.\d+)? m?s\b", "…", text)


def test_documented_log_is_produced(tmp_path: Path) -> None:
    ended = run(named("log-story"), tmp_path)
    assert ended.code == 0, ended.output[-4000:]
    block = re.search(r"<!-- log of the story -->\n```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert block is not None
    assert shown(ended.output) == block[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-01-02 03:04:05,678 INFO    webex.http: in 12 ms, 3.25 s", "INFO    webex.http: in …, …\n"),
        ("a traceback", "\n"),
    ],
)
def test_shown_log_has_no_times(line: str, expected: str) -> None:
    assert shown(line) == expected


def test_table_of_events_matches_the_module() -> None:
    rows = ["| event | fields |\n| --- | --- |\n"]
    for name in telemetry.__all__:
        kind = getattr(telemetry, name)
        if isinstance(kind, type) and issubclass(kind, telemetry.TelemetryEvent) and kind.__struct_fields__:
            rows.append(f"| `{name}` | {', '.join(f'`{field}`' for field in kind.__struct_fields__)} |\n")
    table = re.search(
        r"<!-- events of webex.telemetry -->\n\n(.*?)\n<!--", PAGE.read_text(encoding="utf-8"), flags=re.S
    )
    assert table is not None
    assert table[1] == "".join(rows)
