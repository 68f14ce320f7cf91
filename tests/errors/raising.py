"""What the processes of a pool run: small, because each of them imports it."""

from __future__ import annotations

from webex.errors import NotFoundError


def not_found(_: int) -> None:
    """Raise an error as the client does."""
    raise NotFoundError("there is none", status=404, errors=["sorry"], tracking_id="id")
