"""The keyword arguments of every client and integration, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from webex.config.model import Environment


class Settings(TypedDict, total=False):
    """Every setting that can be given by keyword. What is not given comes from the environment, else a default."""

    client_id: str | None
    client_secret: str | None
    redirect_uri: str | None
    scope: str | Sequence[str] | None
    authorization_string: str | None
    environment: Environment | None
    emulator_url: str | None
    emulator_hosts: Sequence[str] | None
    service_urls: Mapping[str, str] | None
    allowed_domains: Sequence[str] | None
    authorize_url: str | None
    token_url: str | None
    revoke_url: str | None
    logout_url: str | None
    jwks_url: str | None
    userinfo_url: str | None
    device_authorize_url: str | None
    device_token_url: str | None
    issuers: Sequence[str] | None
    timeout: float | None
    connect_timeout: float | None
    idle_timeout: float | None
    max_retries: int | None
    max_redirects: int | None
    max_upload_size: int | None
    max_download_size: int | None
    max_response_size: int | None
    pool_size: int | None
    calls_per_second: float | None
    user_calls_per_second: float | None
    proxy: str | Literal[False] | None
    ca_bundle: str | None
    transport: Literal["auto", "aiohttp", "urllib3", "pyreqwest"] | Any
    tracking_id_prefix: str | None
    app_name: str | None
    app_version: str | None
    credential_max_age: float | None
    credential_cache_size: int | None
    storage_grace: float | None
    refresh_deadline: float | None
    lease_ttl: float | None
