"""The errors of a user who has to sign in, first or again."""

from __future__ import annotations

from typing import Final

from webex.auth.store import STANDALONE_KEY
from webex.errors import NotSignedInError, ReauthorizationRequiredError

_REASONS: Final = {
    "refused": "Webex refused the refresh token (consent withdrawn, password changed, or unused for too long)",
    "outcome_unknown": "an earlier refresh may have been carried out, its answer was lost, and Webex now refuses the "
    "old refresh token",
    "no_refresh_token": "the access token is no longer accepted and there is no refresh token",
    "revoked": "the token was revoked",
}


def not_signed_in(key: str) -> NotSignedInError:
    """Return the error for a user without a stored record."""
    if key == STANDALONE_KEY:
        return NotSignedInError(
            "The client has no token, and none is stored for it: pass one, or set WEBEX_ACCESS_TOKEN.", user_key=key
        )
    return NotSignedInError(
        f"No user is signed in under the key {key!r}: sign the user in (begin_login, finish_login).", user_key=key
    )


def reauthorization_required(key: str, reason: str) -> ReauthorizationRequiredError:
    """Return the error for a user whose tokens can't be refreshed any more."""
    told = _REASONS.get(reason, reason)
    if key == STANDALONE_KEY:  # of a script or a bot: no user signs in there
        text = (
            f"The client's token is of no use any more: {told}. Give it a new one "
            "(WEBEX_ACCESS_TOKEN; for a bot WEBEX_BOT_TOKEN)."
        )
    else:
        text = f"User {key!r} has to sign in again: {told}."
    return ReauthorizationRequiredError(text, reason=reason, user_key=key)
