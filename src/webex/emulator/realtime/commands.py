"""The commands of the control API for what is real time; see `webex.emulator.control`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator import directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from webex.emulator.cloud import Cloud


def _push(
    cloud: Cloud,
    who: list[str],
    data: dict[str, Any],
    keep: bool = True,
    headers: dict[str, Any] | None = None,
) -> None:
    people = [directory.require_person(cloud, one).id for one in who]
    cloud.mercury.push(people, data, keep=keep, headers=headers)


COMMANDS: Final[dict[str, Callable[..., Any]]] = {
    "catalog_faults": lambda cloud, **changes: cloud.catalog.set_faults(**changes),
    "conversation_end_scan": lambda cloud, **given: cloud.conversations.end_scan(**given).id,
    "conversation_faults": lambda cloud, **changes: cloud.conversations.set_faults(**changes),
    "kms_expire": lambda cloud: cloud.kms.expire(),
    "kms_faults": lambda cloud, **changes: cloud.kms.set_faults(**changes),
    "kms_key_uri": lambda cloud, **given: cloud.kms.key_uri(**given),
    "kms_root": lambda cloud: cloud.kms.root_pem.decode(),
    "mercury_check": lambda cloud, **given: cloud.mercury.check(**given),
    "mercury_connections": lambda cloud, **given: cloud.mercury.connections(**given),
    "mercury_drop": lambda cloud, **given: cloud.mercury.drop(**given),
    "mercury_expire_devices": lambda cloud, **given: cloud.mercury.expire_devices(**given),
    "mercury_faults": lambda cloud, **changes: cloud.mercury.set_faults(**changes),
    "mercury_lose": lambda cloud, **given: cloud.mercury.lose(**given),
    "mercury_pause": lambda cloud: cloud.mercury.pause(),
    "mercury_push": _push,
    "mercury_resume": lambda cloud: cloud.mercury.resume(),
    "mercury_shutdown": lambda cloud, **given: cloud.mercury.shutdown(**given),
    "mercury_unacknowledged": lambda cloud, **given: cloud.mercury.unacknowledged(**given),
    "mercury_wait": lambda cloud, **given: cloud.mercury.wait(**given),
    "set_presence": lambda cloud, **given: cloud.set_presence(**given),
}
