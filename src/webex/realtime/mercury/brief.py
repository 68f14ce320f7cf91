"""Sockets that the server closes soon after it has opened them: the registration's URL may be out of date."""

from __future__ import annotations

from typing import Final

from webex.realtime.mercury.close_codes import CloseAction

_BRIEF: Final = 5.0  # seconds
_IN_A_ROW: Final = 3


class BriefConnections:
    """Counts the brief connections of one user in a row."""

    def __init__(self) -> None:
        self._count = 0

    def judge(self, action: CloseAction, lived: float, *, closed: bool) -> CloseAction:
        """Return what follows a connection of `lived` seconds: every third brief one refreshes the device as well.

        `closed`: the server closed it with a code; a connection that was cut says nothing of the registration.
        """
        self._count = self._count + 1 if closed and lived < _BRIEF else 0
        if action is CloseAction.RECONNECT and self._count and self._count % _IN_A_ROW == 0:
            return CloseAction.REFRESH_DEVICE
        return action
