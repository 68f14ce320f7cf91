"""Writes the tables, and says of each aim whether it is met."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.arena import AIOHTTP, NODE, URLLIB3, WEBEX, WEBEXPYTHONSDK, WXC_SDK
from benchmarks.startup import Start

PATH = Path(__file__).resolve().parent / "RESULTS.md"
Results = Mapping[str, Mapping[str, float]]


def write(
    *,
    views: Results,
    sequential: Results,
    at_once: Mapping[int, Results],
    listings: Mapping[int, Results],
    starts: Iterable[Start],
    users: Mapping[str, float],
    emulator: Mapping[str, float],
    sink_seconds: float,
    rounds: int,
) -> str:
    """The whole of RESULTS.md."""
    started = {start.label: start for start in starts}
    aims = [*_view_aims(views), *_call_aims(sequential, at_once), *_start_aims(started), *_list_aims(listings)]
    fastest = emulator["http.client"]
    aims.append(("a call to the emulator on a kept connection: under 1 ms", f"{fastest * 1e6:,.0f} µs", fastest < 1e-3))
    met = sum(1 for _, _, kept in aims if kept)
    parts = [
        _introduction(rounds, sink_seconds),
        f"## Aims\n\n{met} of {len(aims)} are met in this run.\n",
        table(
            ("aim", "measured", ""), [(aim, measured, "met" if kept else "**missed**") for aim, measured, kept in aims]
        ),
        "## A client per request\n\nMade, bound to a user, ready; all of them kept. Memory is what Python allocated "
        "(of npm `webex`: what the process grew by).\n",
        _views(views),
        "## `people.me`\n\nMedian time of one call, and how many times as long as with webex in the same style.\n",
        _calls(sequential, at_once),
        "## Listing 10,000 rooms\n\nEvery room becomes an object of the client's own kind.\n",
        _listings(listings),
        "## Start\n\nMedian of fresh interpreters, above bare Python.\n",
        _starts(started),
        "## 10,000 users in one process\n",
        _users(users),
        "## The emulator\n\nMedian time of one `people.me` on a kept connection, the cloud in a process of its own.\n",
        table(("client", "time"), [(name, f"{each * 1e6:,.0f} µs") for name, each in emulator.items()]),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def machine() -> str:
    """Return the date, and what the run was made on."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {_cores()} cores, {_memory()}, {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}, Node {_node()}"
    )


def _node() -> str:
    ended = subprocess.run([shutil.which("node") or "node", "--version"], capture_output=True, text=True, check=False)
    return ended.stdout.strip().lstrip("v")


def _introduction(rounds: int, sink_seconds: float) -> str:
    return (
        "# Results\n\nMade by `scripts/bench`. Read the ratios; the absolute numbers are this machine's.\n\n"
        f"*{machine()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "urllib3", "pyreqwest", "msgspec"))
        + ".*\n\n"
        "One run, one sink for all: canned HTTP/1.1 answers over kept connections on loopback, written by Node "
        f"straight to the socket ({sink_seconds * 1e6:.0f} µs of processor time for a `people.me`, 50 at once, "
        "so that it is never what is measured). Every contestant is one process for the whole run; "
        f"{rounds} rounds after a warm-up, contestants in turn within a round, medians. "
        "Peers are the published packages, unchanged; of npm `webex` the "
        "three modules that only load in browsers are left out.\n"
    )


def _view_aims(views: Results) -> list[tuple[str, str, bool]]:
    ours = views[WEBEX]
    return [
        ("a view per request: at most 20 µs", f"{ours['each'] * 1e6:.1f} µs", ours["each"] <= 20e-6),
        ("a view per request: at most 2 KB", f"{ours['each_bytes']:.0f} bytes", ours["each_bytes"] <= 2048),
    ]


def _call_aims(sequential: Results, at_once: Mapping[int, Results]) -> list[tuple[str, str, bool]]:
    aims = []
    for bare, style in ((URLLIB3, "blocking"), (AIOHTTP, "event loop")):
        share = sequential[f"{bare}, {style}"]["each"] / sequential[f"webex, {style}"]["each"]
        aims.append((f"sequential, {style}: at least 85 % of {bare}", f"{share:.0%}", share >= 0.85))
    for width, results in at_once.items():
        share = results[AIOHTTP]["each"] / results["webex, event loop"]["each"]
        aims.append((f"{width} at once: at least 85 % of {AIOHTTP}", f"{share:.0%}", share >= 0.85))
    times = sequential[WEBEXPYTHONSDK]["each"] / sequential["webex, blocking"]["each"]
    aims.append(("sequential: at least 2 × webexpythonsdk", f"{times:.1f} ×", times >= 2))
    times = at_once[50][WEBEXPYTHONSDK]["each"] / at_once[50]["webex, event loop"]["each"]
    aims.append(("50 at once: at least 5 × webexpythonsdk", f"{times:.1f} ×", times >= 5))
    for peer in (WXC_SDK, NODE):
        ratios = {
            "sequential": sequential[peer]["each"] / sequential["webex, event loop"]["each"],
            **{
                f"{width}": results[peer]["each"] / results["webex, event loop"]["each"]
                for width, results in at_once.items()
            },
        }
        told = ", ".join(f"{name}: {ratio:.1f} ×" for name, ratio in ratios.items())
        aims.append((f"faster than {peer} in all", told, min(ratios.values()) > 1))
    return aims


def _start_aims(started: Mapping[str, Start]) -> list[tuple[str, str, bool]]:
    module, name, bare = started["`import webex`"], started["`from webex import Webex`"], started["bare Python"]
    bots = started["`from webex.bots import Bot`"].milliseconds - started["`from webex import AsyncWebex`"].milliseconds
    loaded = [library for library in name.libraries if library not in bare.libraries]
    return [
        ("`import webex`: at most 15 ms", f"{module.milliseconds:.1f} ms", module.milliseconds <= 15),
        ("`from webex import Webex`: at most 80 ms", f"{name.milliseconds:.1f} ms", name.milliseconds <= 80),
        ("`from webex import Webex`: at most 8 MB", f"{name.megabytes:.1f} MB", name.megabytes <= 8),
        ("`webex.bots`: at most 40 ms above `AsyncWebex`", f"{bots:.1f} ms", bots <= 40),
        ("no HTTP library before the first call", ", ".join(loaded) or "none", not loaded),
    ]


def _list_aims(listings: Mapping[int, Results]) -> list[tuple[str, str, bool]]:
    aims = []
    for size, results in listings.items():
        ours = min(results["webex, blocking"]["seconds"], results["webex, event loop"]["seconds"])
        ratios = {peer: results[peer]["seconds"] / ours for peer in (WEBEXPYTHONSDK, WXC_SDK)}
        told = ", ".join(f"{peer.split()[0]}: {ratio:.1f} ×" for peer, ratio in ratios.items())
        aims.append(
            (f"10,000 rooms in pages of {size}: at least 2.5 × every Python peer", told, min(ratios.values()) >= 2.5)
        )
    return aims


def _views(views: Results) -> str:
    base = views[WEBEX]["each"]
    rows = [
        (
            label,
            f"{result['each'] * 1e6:,.1f} µs",
            f"{result['each'] / base:,.1f} ×",
            f"{(result['each_bytes'] if 'each_bytes' in result else result['bytes'] / result['kept']) / 1000:,.1f} KB",
        )
        for label, result in views.items()
    ]
    return table(("client", "time", "", "memory"), rows)


def _calls(sequential: Results, at_once: Mapping[int, Results]) -> str:
    labels = list(dict.fromkeys([*sequential, *(label for results in at_once.values() for label in results)]))
    rows = []
    for label in labels:
        is_blocking = label == WEBEXPYTHONSDK or label.endswith(", blocking")
        style = "webex, blocking" if is_blocking else "webex, event loop"
        cells = []
        for results, base in [(sequential, style), *((results, "webex, event loop") for results in at_once.values())]:
            if label not in results:
                cells.append("")
                continue
            each, ours = results[label]["each"], results[base]["each"]
            cells.append(f"{each * 1e6:,.0f} µs" + ("" if label == base else f" ({each / ours:.2f} ×)"))
        rows.append((label, *cells))
    return table(("client", "one after another", *(f"{width} at once" for width in at_once)), rows)


def _listings(listings: Mapping[int, Results]) -> str:
    labels = list(next(iter(listings.values())))
    rows = []
    for label in labels:
        cells = []
        for results in listings.values():
            ours = results["webex, event loop"]["seconds"]
            cells.append(f"{results[label]['seconds'] * 1e3:,.0f} ms ({results[label]['seconds'] / ours:.1f} ×)")
        rows.append((label, *cells))
    return table(("client", *(f"pages of {size}" for size in listings)), rows)


def _starts(started: Mapping[str, Start]) -> str:
    rows = [
        (
            start.label,
            f"{start.milliseconds:,.1f} ms",
            f"{start.megabytes:,.1f} MB",
            ", ".join(start.libraries) or "none",
        )
        for start in started.values()
    ]
    return table(("", "time", "memory", "HTTP libraries loaded"), rows)


def _users(users: Mapping[str, float]) -> str:
    return (
        f"{users['users']:,.0f} people sign in (state, PKCE, code exchange, `people/me`), and each one's view makes "
        "a call; storage in memory, all views alive.\n\n"
        f"- {users['signed_in_bytes'] / 1000:.1f} KB a user once signed in, "
        f"{users['each_bytes'] / 1000:.1f} KB with a view that has made its call "
        f"(as Python allocated it)\n"
        f"- {users['sign_in_seconds'] * 1e3:.2f} ms a sign-in, "
        f"{users['call_seconds'] * 1e6:,.0f} µs a user's first call\n"
    )


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _processor() -> str:
    try:
        names = [line.split(":")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def _memory() -> str:
    try:
        kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    except (OSError, ValueError):
        return "memory unknown"
    return f"{kilobytes / 1024**2:.0f} GiB"
