"""The list of behaviours, which the other files of this room fill."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from webex.storage.conformance.harness import Harness

__all__ = ["BEHAVIOURS", "Behaviour", "behaviour"]

Trial = Callable[[Harness], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing that a storage has to do. `needs` names the capabilities without which it is not asked for."""

    name: str
    text: str
    needs: tuple[str, ...]
    again: bool  # needs a second look at the same data: open_again
    cut: bool  # needs a way to cut the connections: cut
    event_loop: bool  # is about async def methods
    server_clock: bool  # is about a storage that lives by a server's clock
    trial: Trial


BEHAVIOURS: list[Behaviour] = []


def behaviour(
    text: str,
    *needs: str,
    again: bool = False,
    cut: bool = False,
    event_loop: bool = False,
    server_clock: bool = False,
) -> Callable[[Trial], Trial]:
    """Add a trial to the list, under the name of its function."""

    def add(trial: Trial) -> Trial:
        BEHAVIOURS.append(Behaviour(trial.__name__, text, needs, again, cut, event_loop, server_clock, trial))
        return trial

    return add
