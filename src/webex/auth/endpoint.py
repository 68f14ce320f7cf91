"""The OAuth endpoints of the cloud, each grant one method (core-behaviour §2, §3; cloud-facts §2).

The token endpoint has retry rules of its own: a code is sent again only if no connection was made, or on 429; whatever
else is repeated is decided by whoever holds the lease. A body of these calls is never written into an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from webex.auth.tokens import TokenSet
from webex.errors import ApiError, ConnectError, DecodeError, InvalidClientError, oauth_error_class
from webex.http.types import Request

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.pipeline import Pipeline
    from webex.http.types import TokenSource

REDUCTION: Final = "urn:cisco:oauth:grant-type:scope-reduction"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_ATTEMPTS: Final = 4


class TokenEndpoint:
    """Asks for tokens. Raises the `OAuthError` of the answer, `ApiError` for other statuses, `TransportError`."""

    def __init__(self, pipeline: Pipeline, config: Config) -> None:
        self._pipeline = pipeline
        self._config = config
        self.time_offset = 0.0  # how far the cloud's clock is ahead of ours; only ever moved by an emulator

    def now(self) -> float:
        """The time that tokens live by, in seconds since the epoch."""
        return self._pipeline.runtime.clock.time() + self.time_offset

    async def exchange_code(
        self, code: str, *, code_verifier: str | None = None, redirect_uri: str | None = None
    ) -> TokenSet:
        """Authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
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
        """Refresh (RFC 6749 §6). Sent once; repeating is for whoever holds the lease."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if self._config.redirect_uri:
            form["redirect_uri"] = self._config.redirect_uri
        return await self._tokens(form, timeout=timeout)

    async def client_credentials(self, scope: str) -> TokenSet:
        """Client credentials grant (RFC 6749 §4.4)."""
        return await self._tokens({"grant_type": "client_credentials", "scope": scope, "self_contained_token": "true"})

    async def reduce_scope(self, access_token: str, scope: str) -> TokenSet:
        """A token with fewer scopes (core-behaviour §2.5); sent without client authentication."""
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
        """The tokens of a service app in one organization: `POST /applications/{applicationId}/token`."""
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
        """The token of a guest, made with a service app's token: `POST /guests/token`."""
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
        """End the grant that a token belongs to (core-behaviour §2.11)."""
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
        """The JSON of a configured URL (JWKS, user info)."""
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
        attempt = 0
        while True:
            attempt += 1
            request = Request("POST", url, form=form, auth=auth, timeout=timeout, max_retries=0)
            try:
                response = await self._pipeline.send(request)
                break
            except ConnectError:
                if attempt == _ATTEMPTS:
                    raise
                pause = 0.1 * 2**attempt
            except ApiError as error:
                if error.status != 429 or attempt == _ATTEMPTS or (error.retry_after or 0) > 10:
                    raise _oauth_error(error) from None
                pause = error.retry_after if error.retry_after is not None else 0.2 * 2**attempt
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
    """The error of RFC 6749 §5.2, where the answer is one; else the HTTP error without its body."""
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
