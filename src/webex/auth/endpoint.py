"""The OAuth endpoints of the cloud, each grant one method (oauth §4).

The token endpoint has retry rules of its own: a code is sent again only if no connection was made, or on 429; whatever
else is repeated is decided by the holder of the lease. A body of these calls is never written into an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from webex.auth.tokens import TokenSet
from webex.errors import ApiError, ConnectError, DecodeError, InvalidClientError, oauth_error_class
from webex.http.timing import Backoff, server_time
from webex.http.types import Request

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.pipeline import Pipeline
    from webex.http.types import TokenSource

REDUCTION: Final = "urn:cisco:oauth:grant-type:scope-reduction"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_LARGEST_ANSWER: Final = 64 * 1024
_ATTEMPTS: Final = 4
_LONGEST_PAUSE: Final = 10.0  # a longer Retry-After is the caller's to wait for


class TokenEndpoint:
    """Asks for tokens. Raises the `OAuthError` of the answer, `ApiError` for other statuses, `TransportError`."""

    def __init__(self, pipeline: Pipeline, config: Config) -> None:
        self._pipeline = pipeline
        self._config = config
        self.time_offset: float = 0.0  # how far the cloud's clock is ahead of ours; only ever moved by an emulator

    def now(self) -> float:
        """Return the time by which tokens expire, in seconds since the epoch."""
        return self._pipeline.runtime.clock.time() + self.time_offset

    def follow_clock(self, headers: Mapping[str, str]) -> None:
        """Take the time from an answer's `Date`: with an emulator, tokens live by its clock, which a test may move."""
        moment = server_time(headers.get("date"))
        if moment is not None:
            offset = moment - self._pipeline.runtime.clock.time()
            self.time_offset = offset if abs(offset) > 2 else 0.0

    async def exchange_code(
        self, code: str, *, code_verifier: str | None = None, redirect_uri: str | None = None
    ) -> TokenSet:
        """Exchange an authorization code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
        form = {
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri or self._config.require("redirect_uri"),
            "code": code,
            "self_contained_token": "true",
        }
        if code_verifier is not None:
            form["code_verifier"] = code_verifier
        return await self._tokens(form)

    async def refresh(self, refresh_token: str, *, timeout: float | None = None) -> TokenSet:
        """Refresh (RFC 6749 §6). Sent once; only the holder of the lease repeats it."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if self._config.redirect_uri:
            form["redirect_uri"] = self._config.redirect_uri
        return await self._tokens(form, timeout=timeout)

    async def client_credentials(self, scope: str) -> TokenSet:
        """Client credentials grant (RFC 6749 §4.4)."""
        return await self._tokens({"grant_type": "client_credentials", "scope": scope, "self_contained_token": "true"})

    async def reduce_scope(self, access_token: str, scope: str) -> TokenSet:
        """Get a token with fewer scopes (oauth §4.4); sent without client authentication."""
        form = {
            "grant_type": REDUCTION,
            "token": access_token,
            "scope": scope,
            "client_id": self._config.require("client_id"),
            "self_contained_token": "true",
        }
        body = await self._post(self._config.token_url, form, auth="none")
        return TokenSet.from_response(body, self.now())

    async def authorize_device(self, scope: str) -> dict[str, Any]:
        """Begin a device grant (RFC 8628 §3.1)."""
        form = {"client_id": self._config.require("client_id"), "scope": scope}
        return await self._post(self._config.device_authorize_url, form, auth="none")

    async def poll_device(self, device_code: str) -> TokenSet:
        """Ask once whether the person has decided (RFC 8628 §3.4)."""
        form = {"grant_type": DEVICE, "device_code": device_code, "client_id": self._config.require("client_id")}
        auth: Any = self._basic() if self._config.client_secret else "none"
        return TokenSet.from_response(await self._post(self._config.device_token_url, form, auth=auth), self.now())

    async def service_app_token(self, application_id: str, target_org_id: str, admin: TokenSource) -> TokenSet:
        """Get the tokens of a service app in one organization: `POST /applications/{applicationId}/token`."""
        from urllib.parse import quote

        body = {
            "clientId": self._config.require("client_id"),
            "clientSecret": self._config.require("client_secret"),
            "targetOrgId": target_org_id,
        }
        path = f"/applications/{quote(application_id, safe='')}/token"
        response = await self._pipeline.send(Request("POST", path, json=body), admin)
        return TokenSet.from_response(response.json(), self.now())

    async def guest_token(self, subject: str, display_name: str, issuer: TokenSource) -> TokenSet:
        """Get the token of a guest with a service app's token: `POST /guests/token`."""
        body = {"subject": subject, "displayName": display_name}
        data = (await self._pipeline.send(Request("POST", "/guests/token", json=body), issuer)).json()
        if isinstance(data, Mapping):
            data = {
                "access_token": data.get("accessToken") or data.get("access_token"),
                "expires_in": data.get("expiresIn") or data.get("expires_in"),
            }
        return TokenSet.from_response(data, self.now())

    async def revoke(self, token: str, *, hint: str = "access_token", timeout: float | None = None) -> None:
        """Revoke a token (RFC 7009)."""
        form = {"token": token, "token_type_hint": hint}
        await self._post(self._config.revoke_url, form, auth=self._basic(), timeout=timeout, decode=False)

    async def logout(self, token: str, *, timeout: float | None = None) -> None:
        """End the grant that a token belongs to (oauth §7)."""
        await self._pipeline.send(
            Request(
                "POST",
                self._config.logout_url,
                json={"token": token, "cisService": "webex"},
                auth="none",
                timeout=timeout,
                max_retries=1,
            )
        )

    async def get_json(self, url: str, tokens: TokenSource | None = None) -> Any:
        """Get the JSON of a configured URL (JWKS, user info)."""
        auth: Any = "none" if tokens is None else "token"
        return (await self._pipeline.send(Request("GET", url, auth=auth), tokens)).json()

    async def _tokens(self, form: dict[str, str], *, timeout: float | None = None) -> TokenSet:
        body = await self._post(self._config.token_url, form, auth=self._basic(), timeout=timeout)
        return TokenSet.from_response(body, self.now())

    def _basic(self) -> tuple[str, str]:
        return self._config.require("client_id"), self._config.require("client_secret")

    async def _post(
        self, url: str, form: dict[str, str], *, auth: Any, timeout: float | None = None, decode: bool = True
    ) -> dict[str, Any]:
        runtime = self._pipeline.runtime
        total = self._config.timeout if timeout is None else timeout
        give_up = runtime.clock.monotonic() + total
        attempt, backoff = 0, Backoff(0.2, _LONGEST_PAUSE)
        while True:
            attempt += 1
            left = max(give_up - runtime.clock.monotonic(), 0.001)
            request = Request(
                "POST", url, form=form, auth=auth, timeout=left, max_retries=0, max_response_size=_LARGEST_ANSWER
            )
            try:
                response = await self._pipeline.send(request)
                break
            except ConnectError:
                pause = backoff.next()
                if attempt == _ATTEMPTS or runtime.clock.monotonic() + pause >= give_up:
                    raise
            except ApiError as error:
                pause = error.retry_after if error.retry_after is not None else backoff.next()
                again = error.status == 429 and attempt < _ATTEMPTS and pause <= _LONGEST_PAUSE
                if not again or runtime.clock.monotonic() + pause >= give_up:
                    raise _oauth_error(error) from None
            await runtime.sleep(pause)
        if not decode:
            return {}
        try:
            body = response.json()
        except DecodeError as error:
            raise DecodeError("The token endpoint's answer is not JSON.", request=error.request) from None
        if not isinstance(body, dict):
            raise DecodeError("The token endpoint's answer is no JSON object.", request=response.request)
        return body


def _oauth_error(error: ApiError) -> Exception:
    """Return the error of RFC 6749 §5.2, where the answer is one; else the HTTP error without its body."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("error"), str) and error.status < 500:
        described, uri = body.get("error_description"), body.get("error_uri")
        return oauth_error_class(body["error"])(
            body["error"],
            described if isinstance(described, str) else None,
            uri if isinstance(uri, str) else None,
            status=error.status,
            tracking_id=error.tracking_id,
        )
    if error.status == 401:
        return InvalidClientError(
            "invalid_client",
            "The client id or the client secret was not accepted.",
            status=401,
            tracking_id=error.tracking_id,
        )
    return error
