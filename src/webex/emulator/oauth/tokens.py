"""Access and refresh tokens: issuing, rotating, ending them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator.state import Grant, Integration, Person, RefreshToken, Token
from webex.emulator.wire import OAuthProblem

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud

_KEPT: Final = ("personal", "bot")  # printed for people to use: never pushed out by newer ones


class Tokens:
    """The tokens of one cloud. The records are in its state; beside them stands an index by person."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._of: dict[str, dict[str, None]] = {}
        self._refresh_of: dict[str, dict[str, None]] = {}
        cloud.on_replaced(self._index)
        self._index()

    def _index(self) -> None:
        self._of.clear()
        self._refresh_of.clear()
        for token in self._cloud.state.tokens.values():
            self._of.setdefault(token.person_id, {})[token.value] = None
        for refresh in self._cloud.state.refresh_tokens.values():
            self._refresh_of.setdefault(refresh.person_id, {})[refresh.value] = None

    def issue(
        self,
        person: Person,
        client_id: str,
        scopes: list[str],
        *,
        family: str = "",
        kind: str = "access",
        lifetime: float | None = None,
    ) -> Token:
        """Issue an access token; remove the account's oldest when it has too many."""
        cloud = self._cloud
        now = cloud.now()
        lifetime = cloud.settings.access_token_lifetime if lifetime is None else lifetime
        token = Token(
            value=self._new_value(person),
            person_id=person.id,
            client_id=client_id,
            scopes=scopes,
            issued=now,
            expires=now + lifetime,
            family=family,
            kind=kind,
        )
        mine = self._of.setdefault(person.id, {})
        self._make_room(mine, now)
        cloud.state.tokens[token.value] = token
        mine[token.value] = None
        return token

    def issue_refresh(
        self, token: Token, *, parent: RefreshToken | None = None, expires: float | None = None
    ) -> RefreshToken:
        """Issue a refresh token beside an access token."""
        cloud = self._cloud
        now = cloud.now()
        refresh = RefreshToken(
            value=f"{cloud.new_secret()}_A52D_{cloud.state.people[token.person_id].org_id}",
            person_id=token.person_id,
            client_id=token.client_id,
            scopes=parent.scopes if parent is not None else token.scopes,
            issued=now,
            expires=expires if expires is not None else now + cloud.settings.refresh_token_lifetime,
            family=token.family,
            parent=parent.value if parent is not None else None,
        )
        cloud.state.refresh_tokens[refresh.value] = refresh
        self._refresh_of.setdefault(token.person_id, {})[refresh.value] = None
        return refresh

    def refresh(self, value: str, client: Integration, scopes: list[str] | None) -> tuple[Token, RefreshToken]:
        """Issue an access token for a refresh token, and rotate that as the settings say."""
        cloud = self._cloud
        old = cloud.state.refresh_tokens.get(value)
        now = cloud.now()
        if old is None or old.client_id != client.client_id:
            raise OAuthProblem("invalid_grant", "The refresh token is not valid: it is unknown, revoked or not yours.")
        if old.expires <= now:
            raise OAuthProblem("invalid_grant", "The refresh token has expired.")
        person = cloud.state.people.get(old.person_id)
        if person is None or person.deleted:
            raise OAuthProblem("invalid_grant", "The account of this refresh token is gone.")
        self._check_reuse(old, now)
        if scopes is not None and not set(scopes) <= set(old.scopes):
            raise OAuthProblem("invalid_scope", "A refresh cannot ask for more than was granted.")
        kind = "service" if client.kind == "service_app" else "access"
        token = self.issue(
            person,
            client.client_id,
            scopes if scopes is not None else old.scopes,
            family=old.family,
            kind=kind,
            lifetime=cloud.settings.service_app_token_lifetime if kind == "service" else None,
        )
        slides = cloud.settings.refresh_lifetime_slides
        expires = now + cloud.settings.refresh_token_lifetime if slides else old.expires
        if cloud.settings.rotation == "off":
            old.expires = expires
            return token, old
        if old.parent is not None:
            self._forget_refresh(old.parent)  # its successor is in use: the grace ends
            old.parent = None
        if old.used_at is None:
            old.used_at = now
        return token, self.issue_refresh(token, parent=old, expires=expires)

    def _check_reuse(self, old: RefreshToken, now: float) -> None:
        if old.used_at is None or self._cloud.settings.rotation == "off":
            return
        if self._cloud.settings.rotation == "strict":
            self.end_family(old.person_id, old.family)
            raise OAuthProblem(
                "invalid_grant", "The refresh token was used before; every token of its grant has ended."
            )
        if now - old.used_at > self._cloud.settings.rotation_grace:
            raise OAuthProblem("invalid_grant", "The refresh token was replaced by a newer one.")

    def find(self, value: str) -> Token | RefreshToken | None:
        """Return the access or refresh token with this value, live or expired."""
        return self._cloud.state.tokens.get(value) or self._cloud.state.refresh_tokens.get(value)

    def end(self, token: Token | RefreshToken) -> None:
        """Revoke: an access token alone, a refresh token with everything of its grant (RFC 7009 §2.1)."""
        if isinstance(token, RefreshToken):
            self.end_family(token.person_id, token.family)
            self._forget_refresh(token.value)
        else:
            self._forget(token.value)
        self._close_sockets()

    def end_family(self, person_id: str, family: str) -> None:
        """Revoke every token of one grant, and the consent behind it."""
        if not family:
            return
        state = self._cloud.state
        for value in list(self._of.get(person_id, ())):
            if state.tokens[value].family == family:
                self._forget(value)
        for value in list(self._refresh_of.get(person_id, ())):
            if state.refresh_tokens[value].family == family:
                self._forget_refresh(value)
        state.grants.pop(family, None)
        self._close_sockets()

    def end_consent(self, person_id: str, client_id: str) -> int:
        """Revoke all that a person granted to an app; gives how many tokens that ended."""
        found = [token for token in self.of_person(person_id) if token.client_id == client_id]
        for token in found:
            if isinstance(token, RefreshToken):
                self._forget_refresh(token.value)
            else:
                self._forget(token.value)
        state = self._cloud.state
        for grant in [g for g in state.grants.values() if (g.person_id, g.client_id) == (person_id, client_id)]:
            del state.grants[grant.id]
        for code in state.codes.values():
            if (code.person_id, code.client_id) == (person_id, client_id):
                code.used = True
        self._close_sockets()
        return len(found)

    def discard(self, value: str) -> None:
        """Revoke an access token by its value, if it is there."""
        self._forget(value)
        self._close_sockets()

    def adopt(self, value: str, chosen: str) -> None:
        """Give a token another value, which the caller chooses."""
        token = self._cloud.state.tokens[value]
        self._forget(value)
        token.value = chosen
        self._cloud.state.tokens[chosen] = token
        self._of.setdefault(token.person_id, {})[chosen] = None

    def end_person(self, person_id: str) -> None:
        """Revoke every token of an account."""
        for token in self.of_person(person_id):
            self.end(token)

    def of_person(self, person_id: str) -> list[Token | RefreshToken]:
        """Every token of an account, oldest first, refresh tokens last."""
        state = self._cloud.state
        access = [state.tokens[value] for value in self._of.get(person_id, ()) if value in state.tokens]
        refresh = [state.refresh_tokens[v] for v in self._refresh_of.get(person_id, ()) if v in state.refresh_tokens]
        return [*access, *refresh]

    def grant(self, person: Person, client_id: str, scopes: list[str]) -> Grant:
        """Write down a consent."""
        cloud = self._cloud
        grant = Grant(id=cloud.new_uuid(), person_id=person.id, client_id=client_id, scopes=scopes, created=cloud.now())
        cloud.state.grants[grant.id] = grant
        return grant

    def answer(self, token: Token, refresh: RefreshToken | None = None) -> dict[str, Any]:
        """Return a token endpoint's answer (RFC 6749 §5.1, with Webex' `refresh_token_expires_in`)."""
        now = self._cloud.now()
        body: dict[str, Any] = {
            "access_token": token.value,
            "expires_in": round(token.expires - now),
        }
        if refresh is not None:
            body["refresh_token"] = refresh.value
            body["refresh_token_expires_in"] = round(refresh.expires - now)
        return {**body, "token_type": "Bearer", "scope": " ".join(token.scopes)}

    def _new_value(self, person: Person) -> str:
        # Three parts joined by `_`: clients read the organization from the third.
        return f"{self._cloud.new_secret()}_A52D_{person.org_id}"

    def _make_room(self, mine: dict[str, None], now: float) -> None:
        limit = self._cloud.settings.max_live_tokens
        if len(mine) < limit:
            return
        tokens = self._cloud.state.tokens
        for value in [value for value in mine if tokens[value].expires <= now]:
            self._forget(value)
        while len(mine) >= limit:
            oldest = next((value for value in mine if tokens[value].kind not in _KEPT), None)
            if oldest is None:
                return
            self._forget(oldest)

    def _close_sockets(self) -> None:
        """Close the sockets of tokens that have ended, where the settings say so."""
        if self._cloud.settings.close_revoked_sockets:
            self._cloud.mercury.check()

    def _forget(self, value: str) -> None:
        token = self._cloud.state.tokens.pop(value, None)
        if token is not None:
            self._of.get(token.person_id, {}).pop(value, None)

    def _forget_refresh(self, value: str) -> None:
        refresh = self._cloud.state.refresh_tokens.pop(value, None)
        if refresh is not None:
            self._refresh_of.get(refresh.person_id, {}).pop(value, None)
