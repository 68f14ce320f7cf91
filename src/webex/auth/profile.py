"""Name and address of a person who signs in: from the ID token, `userinfo` or `people/me`, as the scopes allow."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webex.auth.sources import StaticToken
from webex.errors import WebexError
from webex.http.types import Request
from webex.ids import person_uuid

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.tokens import TokenSet
    from webex.config import Config
    from webex.http.pipeline import Pipeline

_logger = logging.getLogger("webex.auth")


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a person; `id` is the UUID."""

    id: str | None = None
    display_name: str | None = None
    email: str | None = None

    @property
    def is_complete(self) -> bool:
        """Return whether nothing is left to ask for."""
        return bool(self.id and self.display_name and self.email)

    def or_else(self, other: Profile) -> Profile:
        """Return this profile, with what it lacks taken from another."""
        return Profile(self.id or other.id, self.display_name or other.display_name, self.email or other.email)


class Profiles:
    """Asks the cloud for what the ID token leaves open. Never a reason for a sign-in to fail."""

    def __init__(self, pipeline: Pipeline, endpoint: TokenEndpoint, config: Config) -> None:
        self._pipeline = pipeline
        self._endpoint = endpoint
        self._config = config
        self._told = False

    async def complete(self, found: Profile | None, tokens: TokenSet, granted: Collection[str]) -> Profile:
        """Add what is missing from `userinfo`, then from `people/me`; log which scopes would give the rest."""
        profile = found or Profile()
        if not profile.is_complete and "openid" in granted and (not found or {"email", "profile"} & set(granted)):
            profile = self._joined(profile, await self._ask("userinfo", self._from_userinfo, tokens))
        if not profile.is_complete and {"spark:people_read", "spark:all"} & set(granted):
            profile = self._joined(profile, await self._ask("people/me", self.from_people, tokens))
        missing = [
            f"{what} (scope {scope} with openid, or spark:people_read)"
            for what, scope, value in (
                ("email", "email", profile.email),
                ("display_name", "profile", profile.display_name),
            )
            if not value and not ({"spark:people_read", "spark:all"} & set(granted))
        ]
        if missing:
            level, self._told = logging.INFO if self._told else logging.WARNING, True
            _logger.log(level, "a person signed in without %s", " and ".join(missing))
        return profile

    async def owner_of(self, tokens: TokenSet) -> str | None:
        """Return the UUID of the owner of a token; None when neither endpoint names one."""
        found = await self._ask("people/me", self.from_people, tokens)
        found = found or await self._ask("userinfo", self._from_userinfo, tokens)
        return found.id if found is not None else None

    async def from_people(self, tokens: TokenSet) -> Profile | None:
        """Return the person of a `people/me` answer; None when it names no person."""
        me = (await self._pipeline.send(Request("GET", "/people/me"), StaticToken(tokens.access_token))).json()
        if not isinstance(me, Mapping) or not isinstance(me.get("id"), str):
            return None
        emails = me.get("emails")
        first = emails[0] if isinstance(emails, list) and emails else None
        return Profile(person_uuid(me["id"]), _text(me.get("displayName")), _text(first))

    async def _from_userinfo(self, tokens: TokenSet) -> Profile | None:
        claims = await self._endpoint.get_json(self._config.userinfo_url, StaticToken(tokens.access_token))
        return of_claims(claims) if isinstance(claims, Mapping) and isinstance(claims.get("sub"), str) else None

    async def _ask(self, place: str, ask: Any, tokens: TokenSet) -> Profile | None:
        try:
            found: Profile | None = await ask(tokens)
        except WebexError as error:
            _logger.info("%s did not tell whose token it is: %s", place, type(error).__name__)
            return None
        return found

    @staticmethod
    def _joined(profile: Profile, other: Profile | None) -> Profile:
        # An answer about another person is no answer (OpenID Connect Core §5.3.2).
        if other is None or (profile.id is not None and profile.id != other.id):
            return profile
        return profile.or_else(other)


def of_claims(claims: Mapping[str, Any]) -> Profile:
    """Return the person of an ID token or of `userinfo`."""
    return Profile(person_uuid(claims["sub"]), _text(claims.get("name")), _text(claims.get("email")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
