"""What a handler may raise to say something to the bot."""

from __future__ import annotations

from typing import Any

from webex.webhooks.handlers import Retry

__all__ = ["Retry", "Say"]


class Say(Exception):  # not an error: `raise Say("…")` is an answer
    """Answer with this and handle nothing more: `raise Say("That order is closed.")`."""

    def __init__(self, what: Any) -> None:
        super().__init__(what if isinstance(what, str) else type(what).__name__)
        self.what: Any = what
