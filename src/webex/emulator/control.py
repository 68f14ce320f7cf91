"""The control API: what a test may do to the cloud, over HTTP, for tests in another process or language.

`POST /_emulator/NAME` with a JSON object of arguments answers `{"result": …}`; the names and arguments are those of
`Cloud`. Every request needs the header `X-Webex-Emulator` (any value) and none with an `Origin` is taken: a web page
can't do the first without asking, and can't leave out the second.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator.realtime import commands as realtime_commands
from webex.emulator.wire import Call, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud

ROOT: Final = "/_emulator/"
HEADER: Final = "x-webex-emulator"


async def answer(call: Call) -> Reply:
    """Answer one request of the control API."""
    if HEADER not in call.headers:
        raise Problem(403, "The control API needs the header X-Webex-Emulator.")
    if "origin" in call.headers or call.headers.get("sec-fetch-site", "none") != "none":
        raise Problem(403, "The control API is not for web pages.")
    name = call.url_path.removeprefix(ROOT).strip("/")
    command = COMMANDS.get(name)
    if command is None:
        raise Problem(404, f"There is no command {name!r}; there are {', '.join(sorted(COMMANDS))}.")
    if call.method != "POST" and not (call.method == "GET" and name in _READABLE):
        raise Problem(405, f"Use POST for {name}.", headers={"allow": "POST"})
    arguments = call.json() if call.method == "POST" and call.body else {}
    try:
        if name in ("settle", "mercury_wait"):
            # They wait for what this very event loop may have to do.
            return Reply(200, {"result": await asyncio.to_thread(command, call.cloud, **arguments)})
        with call.cloud.lock:
            return Reply(200, {"result": command(call.cloud, **arguments)})
    except TimeoutError as error:
        raise Problem(504, str(error) or "The cloud did not settle in time.") from None
    except (TypeError, ValueError, LookupError, OSError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
        raise Problem(400, f"{name}: {text}") from None


def _add_person(cloud: Cloud, email: str, display_name: str | None = None, **more: Any) -> dict[str, Any]:
    return msgspec.structs.asdict(cloud.add_person(email, display_name, **more))


def _add_integration(cloud: Cloud, name: str = "Another Integration", **more: Any) -> dict[str, Any]:
    # With its secret: who may control the cloud may know it.
    return msgspec.structs.asdict(cloud.add_integration(name, **more))


def _snapshot(cloud: Cloud) -> str:
    return b64encode(cloud.snapshot()).decode()


def _restore(cloud: Cloud, snapshot: str) -> None:
    try:
        cloud.restore(b64decode(snapshot, validate=True))
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a snapshot: {error}") from None


def _clock(
    cloud: Cloud,
    advance: float | None = None,
    set: float | None = None,
    freeze: bool = False,
    run: bool = False,
) -> float:
    if freeze:
        cloud.clock.freeze()
    if set is not None:
        cloud.clock.set(set)
    if advance is not None:
        cloud.clock.advance(advance)
    if run:
        cloud.clock.run()
    return cloud.clock.time()


def _requests(cloud: Cloud, **wanted: Any) -> list[dict[str, Any]]:
    return [entry.as_dict() for entry in cloud.requests.find(**wanted)]


def _add_fault(cloud: Cloud, path: str = "*", **what: Any) -> dict[str, Any]:
    fault = cloud.faults.add(path, **what)
    return next(entry for entry in cloud.faults.as_list() if entry["id"] == fault.id)


def _settings(cloud: Cloud, **changes: Any) -> dict[str, Any]:
    cloud.set(**changes)
    return msgspec.structs.asdict(cloud.settings)


def _who(cloud: Cloud) -> dict[str, Any]:
    return {"name": "webex emulator", "pid": os.getpid(), "url": cloud.url, "can_stop": cloud.on_stop is not None}


def _stop(cloud: Cloud) -> None:
    if cloud.on_stop is None:
        raise ValueError(f"this emulator is part of the program with the process id {os.getpid()}: end that program")
    cloud.on_stop()


COMMANDS: Final[dict[str, Callable[..., Any]]] = {
    "add_fault": _add_fault,
    "add_integration": _add_integration,
    "add_person": _add_person,
    "approve_device": lambda cloud, **given: cloud.approve_device(**given),
    "clear_faults": lambda cloud: cloud.faults.clear(),
    "clear_requests": lambda cloud: cloud.requests.clear(),
    "clock": _clock,
    "console_url": lambda cloud: cloud.console_url,
    "authorize_service_app": lambda cloud, **given: cloud.authorize_service_app(**given),
    "count_requests": lambda cloud, **wanted: cloud.requests.count(**wanted),
    "deauthorize_service_app": lambda cloud, **given: cloud.deauthorize_service_app(**given),
    "env": lambda cloud: cloud.env,
    "faults": lambda cloud: cloud.faults.as_list(),
    "load": lambda cloud, path: cloud.load(path),
    "load_seed": lambda cloud, seed: cloud.load_seed(seed),
    "refreshes": lambda cloud: cloud.requests.refreshes,
    "remove_fault": lambda cloud, **given: cloud.faults.remove(given["id"]),
    "requests": _requests,
    "reset": lambda cloud: cloud.reset(),
    "restore": _restore,
    "revoke_consent": lambda cloud, **given: cloud.revoke_consent(**given),
    "save": lambda cloud, path: cloud.save(path),
    "settings": _settings,
    "settle": lambda cloud, timeout=10.0: cloud.settle(timeout),
    "sign_in": lambda cloud, **given: cloud.sign_in(**given),
    "snapshot": _snapshot,
    "stop": _stop,
    "token_for": lambda cloud, **given: cloud.token_for(**given),
    "who": _who,
    **realtime_commands.COMMANDS,
}
_READABLE: Final = frozenset({"clock", "env", "faults", "refreshes", "requests", "settings", "who"})
