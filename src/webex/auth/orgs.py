"""The organization in a token (oauth §9)."""

from __future__ import annotations

from webex.errors import DecodeError
from webex.http.codec import decode_json
from webex.ids import base64url_decode


def org_id_of(token: str) -> str:
    """Return the organization's UUID: claim `realm` of a JWT (not verified), else the third part of `a_b_ORG`."""
    parts = token.split(".")
    if len(parts) == 3:
        try:
            claims = decode_json(base64url_decode(parts[1]))
        except (ValueError, DecodeError):
            claims = None
        if isinstance(claims, dict) and isinstance(claims.get("realm"), str):
            return str(claims["realm"])
    pieces = token.split("_")
    if len(pieces) == 3 and pieces[2]:
        return pieces[2]
    raise DecodeError(f"the provided token is not a valid format, token has {len(pieces)} sections")
