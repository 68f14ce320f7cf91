"""What is real time of an emulator in another process, with the names that it has in this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Command = Callable[..., Any]


class RemoteMercury:
    """The sockets of an emulator in another process; see `Mercury`."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def push(
        self,
        who: Iterable[str],
        data: Mapping[str, Any],
        *,
        keep: bool = True,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        """Send an event to every device of these people."""
        self._command("mercury_push", who=list(who), data=data, keep=keep, headers=headers)

    def connections(self, who: str | None = None) -> int:
        """How many sockets are ready."""
        return int(self._command("mercury_connections", who=who))

    def unacknowledged(self, who: str | None = None) -> int:
        """How many events wait for an acknowledgement."""
        return int(self._command("mercury_unacknowledged", who=who))

    def wait(self, connections: int = 1, who: str | None = None, timeout: float = 10.0) -> None:
        """Wait until so many sockets are ready."""
        self._command("mercury_wait", connections=connections, who=who, timeout=timeout)

    def drop(self, who: str | None = None, code: int = 1006, reason: str = "") -> int:
        """Close sockets: 1006 cuts the connection, 1005 says no code, any other is said. Gives how many."""
        return int(self._command("mercury_drop", who=who, code=code, reason=reason))

    def shutdown(self, who: str | None = None) -> int:
        """Tell sockets that they end soon. Gives how many."""
        return int(self._command("mercury_shutdown", who=who))

    def expire_devices(self, who: str | None = None) -> int:
        """Forget devices as if their time had come. Gives how many."""
        return int(self._command("mercury_expire_devices", who=who))

    def lose(self, who: str | None = None) -> int:
        """Forget what waits for an acknowledgement. Gives how many."""
        return int(self._command("mercury_lose", who=who))

    def check(self, who: str | None = None) -> int:
        """Close sockets whose token ended or whose device expired. Gives how many."""
        return int(self._command("mercury_check", who=who))

    def pause(self) -> None:
        """Hold events back until `resume`."""
        self._command("mercury_pause")

    def resume(self) -> None:
        """Send what was held back."""
        self._command("mercury_resume")

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change faults by name; gives all of them. See `MercuryFaults`."""
        result: dict[str, Any] = self._command("mercury_faults", **changes)
        return result


class RemoteKMS:
    """The key service of an emulator in another process; see `KMS`."""

    def __init__(self, command: Command) -> None:
        self._command = command

    @property
    def root_pem(self) -> bytes:
        """The certificate to trust when its identity shall be checked, in PEM."""
        return str(self._command("kms_root")).encode()

    def key_uri(self, room_id: str) -> str:
        """Return the URI of a room's key; the room by its public id or UUID."""
        return str(self._command("kms_key_uri", room_id=room_id))

    def expire(self) -> int:
        """Forget every agreed key. Gives how many there were."""
        return int(self._command("kms_expire"))

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change faults by name; gives all of them. See `KMSFaults`."""
        result: dict[str, Any] = self._command("kms_faults", **changes)
        return result


class RemoteFaultSet:
    """The faults of another service of an emulator in another process: `command` says of which."""

    def __init__(self, command: Command, name: str) -> None:
        self._command, self._name = command, name

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change faults by name; gives all of them. See `ConversationFaults`, `CatalogFaults`."""
        result: dict[str, Any] = self._command(self._name, **changes)
        return result


class RemoteConversations(RemoteFaultSet):
    """The conversation service of an emulator in another process."""

    def __init__(self, command: Command) -> None:
        super().__init__(command, "conversation_faults")

    def end_scan(self, message_id: str, result: str = "clean") -> str:
        """End the scan of a message's files, and return the id of the activity that reports it."""
        return str(self._command("conversation_end_scan", message_id=message_id, result=result))
