"""The errors of a user who has to sign in, first or again."""

from __future__ import annotations

from typing import Final

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
    return NotSignedInError(
        f"No user is signed in under the key {key!r}: sign the user in (begin_login, finish_login).", user_key=key
    )


def reauthorization_required(key: str, reason: str) -> ReauthorizationRequiredError:
    """Return the error for a user whose tokens can't be refreshed any more."""
    return ReauthorizationRequiredError(
        f"User {key!r} has to sign in again: {_REASONS.get(reason, reason)}.", reason=reason, user_key=key
    )
