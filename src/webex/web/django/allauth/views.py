"""The two steps of a sign-in with allauth: to Webex, and back with a code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView

from webex.auth.idtoken import check_claims
from webex.config import Config, load_config
from webex.encryption.jose import BadTokenError, verify_rs256
from webex.errors import IdTokenError
from webex.web.django import conf

if TYPE_CHECKING:

    class OAuth2Adapter:
        """The part of allauth's class that is used here: allauth has no types."""

        def __init__(self, request: Any) -> None: ...

        def get_provider(self) -> Any:
            """Return the provider."""

else:
    from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter


class WebexOAuth2Adapter(OAuth2Adapter):
    """Exchanges the code, and reads the person from the ID token, which it verifies."""

    provider_id = "webex"

    def __init__(self, request: Any) -> None:
        super().__init__(request)
        self.config: Config = load_config(conf.sdk_settings(), None)[0]  # which region, or which emulator
        self.authorize_url: str = self.config.authorize_url
        self.access_token_url: str = self.config.token_url

    def complete_login(self, request: Any, app: Any, token: Any, **kwargs: Any) -> Any:
        """Return the login of the person named by the ID token; `OAuth2Error` if it is not accepted."""
        id_token = kwargs["response"].get("id_token")
        if not id_token:
            raise OAuth2Error("Webex's answer has no ID token; the app has to be registered with the scope openid.")
        with get_adapter(request).get_requests_session() as session:
            answer = session.get(self.config.jwks_url)
            answer.raise_for_status()
        try:
            claims = verify_rs256(id_token, answer.json())
            check_claims(claims, client_id=app.client_id, issuers=self.config.issuers, now=time.time())
        except (BadTokenError, IdTokenError) as error:
            raise OAuth2Error(f"The ID token is not accepted: {error}") from error
        return self.get_provider().sociallogin_from_response(request, claims)


oauth2_login: Any = OAuth2LoginView.adapter_view(WebexOAuth2Adapter)
oauth2_callback: Any = OAuth2CallbackView.adapter_view(WebexOAuth2Adapter)
