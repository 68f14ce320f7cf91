"""The rooms that are mutated, each with the tests that prove it within seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """`sources` are patterns of files below the root; `tests` are files or folders."""

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    without: str = ""  # words in the names of tests that start processes, and so are slow


def _in(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{name}.py" for name in names.split())


ROOMS = {
    room.name: room
    for room in (
        Room(
            "auth",
            ("src/webex/auth/*.py",),
            _in(
                "auth",
                "credentials endpoint endpoint_requests idtokens login manager node_credentials pending refresh "
                "refresh_handlers refresh_outcomes service_apps sessions sign_out sources token_values unsaved urls",
            ),
            without="every_process",
        ),
        Room("storage/access", ("src/webex/storage/access.py",), _in("storage", "access access_calls")),
        Room(
            "http",
            ("src/webex/http/*.py",),
            _in("pipeline", "bodies_and_answers credentials_and_waits header_values layers pipeline"),
            without="dripping fork",
        ),
        Room(
            "web",
            ("src/webex/web/*.py",),
            _in(
                "web",
                "aiohttp answers attacks cookies core django flask hooks middleware "
                "places plain_adapters sign_out signing_in wsgi",
            ),
        ),
        Room(
            "encryption",
            ("src/webex/encryption/*.py",),
            _in(
                "encryption",
                "channel channel_waiting content hostile_tokens jose keys kms_identity vectors vectors_made",
            ),
        ),
        Room(
            "checkpoint",
            ("src/webex/realtime/checkpoint.py", "src/webex/realtime/records.py"),
            _in("realtime", "checkpoint"),
        ),
    )
}
