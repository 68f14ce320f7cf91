"""The provider, which allauth finds by the name of this module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress

from webex.web.django.allauth.views import WebexOAuth2Adapter

if TYPE_CHECKING:

    class ProviderAccount:
        """The part of allauth's class that is used here: allauth has no types."""

        account: Any

    class OAuth2Provider:
        """The part of allauth's class that is used here."""

        def get_scope(self) -> list[str]:
            """Return the scopes of the settings."""
            raise NotImplementedError

else:
    from allauth.socialaccount.providers.base import ProviderAccount
    from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider


class WebexAccount(ProviderAccount):
    """A person at Webex."""

    def to_str(self) -> str:
        """Return how allauth's pages call the account."""
        data: dict[str, Any] = self.account.extra_data
        return str(data.get("email") or data.get("name") or self.account.uid)


class WebexProvider(OAuth2Provider):
    """Signs people in by OpenID Connect, with PKCE. `SCOPE` of the settings asks for more."""

    id = "webex"
    name = "Webex"
    account_class = WebexAccount
    oauth2_adapter_class = WebexOAuth2Adapter
    pkce_enabled_default = True

    def get_default_scope(self) -> list[str]:
        """Return the scopes that name the person."""
        return ["openid", "email", "profile"]

    def get_scope(self) -> list[str]:
        """Return the scopes of the settings; without `openid` there is no ID token."""
        return list(dict.fromkeys(["openid", *super().get_scope()]))

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Return the person's UUID at Webex."""
        return str(data["sub"])

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a new user gets."""
        return {
            "email": data.get("email"),
            "first_name": data.get("given_name"),
            "last_name": data.get("family_name"),
            "name": data.get("name"),
        }

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        """Return the address, which is verified only if the ID token says so."""
        if not data.get("email"):
            return []
        return [EmailAddress(email=data["email"], verified=data.get("email_verified") is True, primary=True)]


provider_classes: list[type[WebexProvider]] = [WebexProvider]
