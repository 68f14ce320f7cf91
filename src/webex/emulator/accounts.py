"""Well-known accounts: the same ids and tokens in every emulator, so that they can be typed, printed and tested.

None of these values opens anything but an emulator.
"""

from __future__ import annotations

from typing import Final

from webex.emulator.state import AuditEvent, Integration, Org, Person, State, Token

ORG_ID: Final = "0a57ab1e-0000-4000-8000-000000000001"
FOREVER: Final = 100 * 365 * 86400.0

ALICE_ID: Final = "a11ce000-0000-4000-8000-000000000001"
BOB_ID: Final = "b0b00000-0000-4000-8000-000000000002"
ADMIN_ID: Final = "ad314000-0000-4000-8000-000000000003"
COMPLIANCE_ID: Final = "c0317000-0000-4000-8000-000000000004"
AUDIT_ID: Final = "a0d17000-0000-4000-8000-00000000000a"
BOT_ID: Final = "b0700000-0000-4000-8000-000000000005"


def _token(mark: str) -> str:
    # Three parts joined by `_`: the JS SDK reads the organization from the third.
    return f"{mark}{'0' * (64 - len(mark))}_A52D_{ORG_ID}"


ALICE_TOKEN: Final = _token("a11ce")
BOB_TOKEN: Final = _token("b0b")
ADMIN_TOKEN: Final = _token("ad314")
COMPLIANCE_TOKEN: Final = _token("c0317")
BOT_TOKEN: Final = _token("b07")

CLIENT_ID: Final = "C" + "0123456789abcdef" * 4
CLIENT_SECRET: Final = "5ec7e7" + "0" * 58
# The first is the one that is handed out; the others are common paths, on any loopback port (RFC 8252 §7.3).
REDIRECT_URIS: Final = (
    "http://127.0.0.1:8000/auth/callback",
    "http://127.0.0.1:8000/auth/webex/callback",
    "http://127.0.0.1:8000/oauth/redirect",
    "http://127.0.0.1:8000/oauth/callback",
    "http://127.0.0.1:8000/callback",
)

PUBLIC_CLIENT_ID: Final = "C" + "fedcba9876543210" * 4
SERVICE_APP_ID: Final = "C" + "5e" * 32
SERVICE_APP_SECRET: Final = "5e5ec7" + "0" * 58
GUEST_ISSUER_ID: Final = "9e570000-0000-4000-8000-000000000009"
GUEST_ISSUER_SECRET: Final = "Z3Vlc3QtaXNzdWVyLXNlY3JldC1vZi10aGUtZW11bGF0b3I="

USER_SCOPES: Final = (
    "openid",
    "email",
    "profile",
    "phone",
    "address",
    "offline_access",
    "spark:all",
    "spark:kms",
    "spark:people_read",
    "spark:people_write",
    "spark:rooms_read",
    "spark:rooms_write",
    "spark:memberships_read",
    "spark:memberships_write",
    "spark:messages_read",
    "spark:messages_write",
    "spark:teams_read",
    "spark:teams_write",
    "spark:team_memberships_read",
    "spark:team_memberships_write",
    "spark:webhooks_read",
    "spark:webhooks_write",
    "spark:applications_token",
    "spark:organizations_read",
    "identity:tokens_read",
    "identity:tokens_write",
    "guest-issuer:read",
    "guest-issuer:write",
    "meeting:schedules_read",
    "meeting:schedules_write",
)
ADMIN_SCOPES: Final = (
    "spark-admin:people_read",
    "spark-admin:people_write",
    "spark-admin:organizations_read",
    "spark-admin:roles_read",
    "spark-admin:licenses_read",
    "spark-admin:messages_read",
    "spark-admin:messages_write",
    "spark-admin:hybrid_clusters_read",
    "spark-admin:hybrid_connectors_read",
    "spark-admin:webhooks_read",
    "spark-admin:webhooks_write",
    "identity:people_read",
    "identity:people_rw",
    "cjp:config_read",
    "cjp:config_write",
)
COMPLIANCE_SCOPES: Final = (
    "spark-compliance:events_read",
    "spark-compliance:memberships_read",
    "spark-compliance:memberships_write",
    "spark-compliance:messages_read",
    "spark-compliance:messages_write",
    "spark-compliance:rooms_read",
    "spark-compliance:team_memberships_read",
    "spark-compliance:team_memberships_write",
    "spark-compliance:teams_read",
    "spark-compliance:webhooks_read",
    "spark-compliance:webhooks_write",
)
INTEGRATION_SCOPES: Final = (*USER_SCOPES, *ADMIN_SCOPES, *COMPLIANCE_SCOPES)


def populate(state: State, now: float) -> None:
    """Put the well-known accounts into an empty cloud."""
    state.orgs[ORG_ID] = Org(id=ORG_ID, name="Example Organization")
    people = (
        (ALICE_ID, "alice@example.com", "Alice", "Example", ALICE_TOKEN),
        (BOB_ID, "bob@example.com", "Bob", "Example", BOB_TOKEN),
        (ADMIN_ID, "admin@example.com", "Ada", "Admin", ADMIN_TOKEN),
        (COMPLIANCE_ID, "compliance@example.com", "Connie", "Compliance", COMPLIANCE_TOKEN),
    )
    for person_id, email, first, last, token in people:
        admin, compliance = person_id == ADMIN_ID, person_id == COMPLIANCE_ID
        state.people[person_id] = Person(
            id=person_id,
            org_id=ORG_ID,
            email=email,
            display_name=f"{first} {last}",
            first_name=first,
            last_name=last,
            created=now,
            admin=admin,
            compliance=compliance,
        )
        scopes = [*USER_SCOPES, *(ADMIN_SCOPES if admin else ()), *(COMPLIANCE_SCOPES if compliance else ())]
        state.tokens[token] = Token(
            value=token,
            person_id=person_id,
            client_id="",
            scopes=scopes,
            issued=now,
            expires=now + FOREVER,
            kind="personal",
        )
    state.people[BOT_ID] = Person(
        id=BOT_ID, org_id=ORG_ID, email="bot@example.com", display_name="Example Bot", kind="bot", created=now
    )
    state.tokens[BOT_TOKEN] = Token(
        value=BOT_TOKEN,
        person_id=BOT_ID,
        client_id="",
        scopes=["spark:all", "spark:kms"],
        issued=now,
        expires=now + FOREVER,
        kind="bot",
    )
    state.audit[AUDIT_ID] = AuditEvent(
        id=AUDIT_ID,
        actor_id=ADMIN_ID,
        org_id=ORG_ID,
        created=now,
        data={
            "actorOrgName": "Example Organization",
            "eventDescription": "An administrator logged in",
            "actorName": "Ada Admin",
            "actorEmail": "admin@example.com",
            "eventCategory": "LOGINS",
            "actionText": "Ada Admin logged in",
        },
    )
    for app in (
        Integration(
            id="1a7e9000-0000-4000-8000-000000000006",
            name="Example Integration",
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            redirect_uris=list(REDIRECT_URIS),
            scopes=list(INTEGRATION_SCOPES),
            any_loopback_port=True,
        ),
        Integration(
            id="1a7e9000-0000-4000-8000-000000000007",
            name="Example Public Client",
            client_id=PUBLIC_CLIENT_ID,
            client_secret=None,
            redirect_uris=list(REDIRECT_URIS),
            scopes=list(USER_SCOPES),
            any_loopback_port=True,
        ),
        Integration(
            id="1a7e9000-0000-4000-8000-000000000008",
            name="Example Service App",
            client_id=SERVICE_APP_ID,
            client_secret=SERVICE_APP_SECRET,
            redirect_uris=[],
            scopes=["spark-admin:people_read", "guest-issuer:read", "guest-issuer:write", "spark:all"],
            kind="service_app",
        ),
        Integration(
            id=GUEST_ISSUER_ID,
            name="Example Guest Issuer",
            client_id=GUEST_ISSUER_ID,
            client_secret=GUEST_ISSUER_SECRET,
            redirect_uris=[],
            scopes=["spark:all"],
            kind="guest_issuer",
        ),
    ):
        state.integrations[app.client_id] = app
