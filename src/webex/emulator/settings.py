"""What can be set about the emulated cloud, with the real cloud's values as defaults where they are known."""

from __future__ import annotations

from typing import Literal

import msgspec

Rotation = Literal["off", "grace", "strict"]
CodeReuse = Literal["refuse", "revoke"]
PublicFiles = Literal["refuse", "invent"]
KMSSignature = Literal["PS256", "RS256"]


class Settings(msgspec.Struct, kw_only=True):
    """The cloud's numbers and habits. Times are in seconds by the emulator's clock.

    `rotation` says what a refresh does to the refresh token: `off` keeps it; `grace` gives a new one and lets the old
    one live until the new one is first used, or `rotation_grace`; `strict` makes it single use, and a second use ends
    every token of the grant. `code_reuse` says what a second exchange of an authorization code does: `refuse` refuses
    it; `revoke` also ends every token of the grant (RFC 6749 §4.1.2). `public_file_urls`: `refuse`, or `invent` a file.
    """

    access_token_lifetime: float = 14 * 86400
    refresh_token_lifetime: float = 90 * 86400
    refresh_lifetime_slides: bool = True  # each refresh starts the refresh token's lifetime anew
    personal_token_lifetime: float = 12 * 3600
    service_app_token_lifetime: float = 3600
    guest_token_lifetime: float = 64799
    id_token_lifetime: float = 3600
    authorization_code_lifetime: float = 300
    code_reuse: CodeReuse = "refuse"
    device_code_lifetime: float = 300
    device_poll_interval: float = 2
    device_pending_status: int = 400  # RFC 8628 §3.5
    rotation: Rotation = "off"
    rotation_grace: float = 60
    max_live_tokens: int = 750  # of one account; the oldest go first
    max_body: int = 256 * 1024 * 1024

    # Webhooks: real-time seconds between tries of one delivery, and how many deliveries may fail in a row.
    webhook_timeout: float = 5.0
    webhook_retry_delays: tuple[float, ...] = (0.05, 0.2)
    webhook_failure_limit: int = 5
    # Chances (0 to 1) that a delivery is made twice, changes places with the next, or comes after a forged one.
    webhook_duplicate: float = 0.0
    webhook_reorder: float = 0.0
    webhook_forged: float = 0.0

    # Where new rooms and teams are at home, as their public ids write it: `us`, or `urn:TEAM:us-west-2_r`.
    cluster: str = "us"
    public_file_urls: PublicFiles = "refuse"  # a message's file URL that is not of this machine
    card_author_may_submit: bool = False
    events_kept: float = 90 * 86400  # `/events` from before that is 403
    events_window: float = 25 * 86400  # how far back `/events` goes without `from`

    file_scan_seconds: float = 0.0  # how long a new file answers 423
    max_file_size: int = 100 * 1024 * 1024

    # Devices, the Mercury socket, the key service.
    device_ttl: float = 7 * 86400  # of a device that asks for none
    max_devices: int = 100  # of one person
    device_not_modified: bool = False  # a refresh that names the current etag is answered with a bare 304
    other_region_hosts: tuple[str, ...] = ("wdm-k.wbx2.com",)  # devices registered there get no activities
    close_revoked_sockets: bool = False  # 4401 as soon as the token of a socket is revoked
    mercury_auth_timeout: float = 30.0  # real seconds
    redelivery_window: float = 900  # how long an event waits for its acknowledgement
    redelivery_limit: int = 1000  # how many events wait for one device; the oldest go first
    kms_signature: KMSSignature = "PS256"
    kms_agreement_lifetime: float = 3600
