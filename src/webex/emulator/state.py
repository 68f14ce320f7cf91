"""All that the emulated cloud knows, in plain records. One `State` a cloud; services read and write it, nothing else.

Ids here are bare UUIDs; `webex.ids` makes public (Hydra) ids of them at the edge. Times are seconds since the epoch by
the emulator's clock. Every record is a msgspec Struct, so that a snapshot is one encode of the whole.
"""

from __future__ import annotations

from typing import Final

import msgspec

# The `appId` of everything that a bot or a personal token made (recorded from 2016 to 2026).
DEVELOPER_APP_ID: Final = "C32c807740c6e7df11daf16f228df628bbca49ba52fecbb2c7d515cb4a0cc91aa"


class _Secretive(msgspec.Struct):
    """A record whose values may not be shown: it prints as its name and owner."""

    client_id: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.client_id or 'no app'}>"


class Org(msgspec.Struct):
    """An organization."""

    id: str
    name: str


class Person(msgspec.Struct):
    """A person, or a bot."""

    id: str
    org_id: str
    email: str
    display_name: str
    kind: str = "person"  # person | bot | guest | appuser
    first_name: str = ""
    last_name: str = ""
    created: float = 0.0
    admin: bool = False
    compliance: bool = False
    extra: dict[str, object] = {}  # further fields of the public record, as sent by an administrator
    deleted: bool = False
    has_password: bool = True  # false for one that was activated and has set none yet


class Integration(_Secretive, kw_only=True):
    """A registered app: integration, service app, or public client (`client_secret` None)."""

    id: str
    name: str
    client_secret: str | None
    redirect_uris: list[str]
    scopes: list[str]
    kind: str = "integration"  # integration | service_app | guest_issuer
    any_loopback_port: bool = False
    deauthorized: list[str] = []  # of a service app: the organizations that take it back


class Token(_Secretive, kw_only=True):
    """An access token that was issued."""

    value: str
    person_id: str
    scopes: list[str]
    issued: float
    expires: float
    family: str = ""  # the grant it belongs to; revoking the grant ends all of them
    kind: str = "access"  # access | personal | bot | service | guest

    @property
    def app_id(self) -> str:
        """The app that acts: bots and personal tokens share that of the developer portal."""
        return self.client_id if self.client_id and self.kind not in ("personal", "bot") else DEVELOPER_APP_ID

    def allows(self, scope: str) -> bool:
        """`spark:all` has every `spark:` scope of a person; administrators' scopes must be named."""
        if scope in self.scopes:
            return True
        admin = scope.startswith(("spark-admin:", "spark-compliance:")) or scope == "spark:kms"
        return not admin and scope.startswith("spark:") and "spark:all" in self.scopes


class RefreshToken(_Secretive, kw_only=True):
    """A refresh token."""

    value: str
    person_id: str
    scopes: list[str]
    issued: float
    expires: float
    family: str
    used_at: float | None = None  # rotation: when a newer one was first issued for it
    parent: str | None = None  # rotation: the one it was issued for


class Grant(msgspec.Struct):
    """One consent: a person let an app act. Its tokens carry its id as their `family`."""

    id: str
    person_id: str
    client_id: str
    scopes: list[str]
    created: float


class AuthorizationCode(_Secretive, kw_only=True):
    """What the authorize page gave to the app; it can be exchanged once."""

    value: str
    person_id: str
    scopes: list[str]
    redirect_uri: str
    expires: float
    grant_id: str
    nonce: str | None = None
    code_challenge: str | None = None
    used: bool = False


class DeviceCode(_Secretive, kw_only=True):
    """A sign-in that waits for a person to type its `user_code` (RFC 8628)."""

    value: str
    user_code: str
    scopes: list[str]
    expires: float
    interval: float
    status: str = "pending"  # pending | approved | denied | used
    person_id: str | None = None
    polled: float | None = None


class Room(msgspec.Struct):
    """A room, with its content key."""

    id: str
    title: str
    creator_id: str
    org_id: str
    created: float
    last_activity: float
    type: str = "group"  # group | direct
    team_id: str | None = None
    is_locked: bool = False
    is_public: bool = False
    made_public: float | None = None
    is_announcement_only: bool = False
    is_read_only: bool = False
    description: str | None = None
    classification_id: str | None = None
    sip_address: str = ""
    key_uri: str | None = None  # the content key of its messages, once one is needed
    resource_uri: str | None = None  # who may have that key
    rotate: bool = False  # a member left: the next message needs a new key
    cluster: str = "us"  # where it is at home, as public ids write it
    tags: list[str] = []  # those that its maker gave it
    avatar: str | None = None  # the id of the StoredFile that is its picture
    key_by: str | None = None  # who gave it its present key, where a client did
    key_known: list[str] = []  # who has been told of that key


class Membership(msgspec.Struct):
    """Its public id is PERSON:ROOM."""

    room_id: str
    person_id: str
    created: float
    is_moderator: bool = False
    is_monitor: bool = False
    is_room_hidden: bool = False
    last_seen_id: str | None = None
    last_seen: float | None = None
    tags: list[str] = []  # the member's own: FAVORITE, MUTED, …


class Message(msgspec.Struct):
    """A message."""

    id: str  # also the id of the activity that posted it
    room_id: str
    person_id: str
    created: float
    sequence: int  # order within the cloud, where two times are equal
    parent_id: str | None = None
    text: str | None = None
    markdown: str | None = None
    html: str | None = None
    files: list[str] = []  # ids of StoredFile
    attachments: list[dict[str, object]] = []
    mentioned_people: list[str] = []
    mentioned_groups: list[str] = []
    updated: float | None = None
    edits: int = 0


class Preview(msgspec.Struct):
    """A small picture of a file, encrypted as the client uploaded it."""

    width: int
    height: int
    data: bytes
    scr: dict[str, str]


class StoredFile(msgspec.Struct):
    """`id` is MESSAGE/INDEX, as in a content id."""

    id: str
    name: str
    content_type: str
    size: int
    message_id: str
    room_id: str
    data: bytes
    scan: str = "clean"  # clean | scanning | infected | unscannable
    scan_until: float | None = None  # when `scanning` turns into clean
    # How the conversation service encrypts it: key, iv, aad, tag. In snapshots it has its first name.
    encryption: dict[str, str] = msgspec.field(default_factory=dict, name="seal")
    preview: Preview | None = None


class Team(msgspec.Struct):
    """A team."""

    id: str
    name: str
    creator_id: str
    created: float
    general_room_id: str
    description: str | None = None
    cluster: str = "us"


class TeamMembership(msgspec.Struct):
    """Its public id is PERSON:TEAM."""

    team_id: str
    person_id: str
    created: float
    is_moderator: bool = False


class Webhook(msgspec.Struct):
    """A webhook."""

    id: str
    name: str
    target_url: str
    resource: str
    event: str
    created_by: str
    org_id: str
    app_id: str
    created: float
    filter: str | None = None
    secret: str | None = None
    status: str = "active"  # active | inactive
    owned_by: str = "creator"  # creator | org
    failures: int = 0


class Subscription(msgspec.Struct):
    """A subscription to events of a contact center."""

    id: str
    version: int  # of the API that it was made with: 1 or 2
    name: str
    target_url: str
    event_types: list[str]
    org_id: str
    created_by: str
    created: float
    updated_by: str
    updated: float
    description: str | None = None
    resource_version: str | None = None  # such as task:1.0.0; of version 2
    secret: str | None = None
    status: str = "active"  # active | inactive
    failures: int = 0


class AttachmentAction(msgspec.Struct):
    """What was submitted with a card."""

    id: str
    type: str
    message_id: str
    room_id: str
    person_id: str
    inputs: dict[str, object]
    created: float


class Activity(msgspec.Struct):
    """What the conversation service keeps of something that happened; `content` is in the clear here."""

    id: str
    room_id: str
    verb: str
    actor_id: str
    published: float
    sequence: int
    content: dict[str, object]
    key_uri: str | None = None
    parent: dict[str, object] | None = None
    client_temp_id: str | None = None
    tags: list[str] = []  # of the room at that time
    only: list[str] = []  # the only ones who get it; empty: every member
    mentions: list[str] | None = None  # of a message: the people, and `all`, that it names


class Event(msgspec.Struct):
    """A line of the compliance events API."""

    id: str
    resource: str
    type: str
    actor_id: str
    org_id: str
    created: float
    data: dict[str, object]
    app_id: str | None = None


class AuditEvent(msgspec.Struct):
    """What an administrator did."""

    id: str
    actor_id: str
    org_id: str
    created: float
    data: dict[str, object]


class Device(msgspec.Struct):
    """A client that registered for events. `fields` is what it told of itself."""

    id: str
    registration_id: str  # the last but one part of its socket's URL
    person_id: str
    created: float
    modified: float
    expires: float
    ttl: float | None = None  # as asked for
    fields: dict[str, object] = {}
    elsewhere: bool = False  # it was registered in another region: no activities come
    base: str = ""  # the scheme and host that its client uses: those of the URLs in its events


class Presence(msgspec.Struct):
    """The status that a person set, and who watches."""

    status: str | None = None
    label: str | None = None
    until: float = 0.0  # when what they said no longer holds
    last_active: float = 0.0
    watchers: dict[str, float] = {}  # people, and until when they want to know


class ContentKey(msgspec.Struct):
    """A key of the key service; bound to a resource, its members may have it, before that only its maker."""

    uri: str
    secret: bytes
    person_id: str
    created: float
    client_id: str = ""
    bound: float | None = None
    resource_uri: str | None = None

    def __repr__(self) -> str:
        return f"<ContentKey {self.uri}>"


class KeyResource(msgspec.Struct):
    """Keys, and who may have them: people, and other resources whose people may."""

    uri: str
    person_id: str
    created: float
    key_uris: list[str] = []
    authorizations: dict[str, str] = {}  # the URI of each authorization, by person or resource


class AgreedKey(msgspec.Struct):
    """The key under which one client talks with the key service."""

    uri: str
    secret: bytes
    person_id: str
    client_id: str
    expires: float

    def __repr__(self) -> str:
        return f"<AgreedKey {self.uri}>"


class State(msgspec.Struct):
    """The whole cloud. Tables are keyed by the record's id (tokens by their value)."""

    seed: int = 0
    next_sequence: int = 1
    next_id: int = 1  # every id and token that the cloud makes up is derived from the seed and this
    orgs: dict[str, Org] = {}
    people: dict[str, Person] = {}
    integrations: dict[str, Integration] = {}  # by client id
    tokens: dict[str, Token] = {}
    refresh_tokens: dict[str, RefreshToken] = {}
    grants: dict[str, Grant] = {}
    codes: dict[str, AuthorizationCode] = {}
    device_codes: dict[str, DeviceCode] = {}
    activations: dict[str, str] = {}  # addresses, by the secret that was mailed to activate them
    one_time_passwords: dict[str, str] = {}  # by address
    promised_ids: dict[str, str] = {}  # by address: the ids that accounts will have once they are made
    rooms: dict[str, Room] = {}
    memberships: dict[str, Membership] = {}  # by PERSON:ROOM
    messages: dict[str, Message] = {}
    files: dict[str, StoredFile] = {}
    teams: dict[str, Team] = {}
    team_memberships: dict[str, TeamMembership] = {}  # by PERSON:TEAM
    webhooks: dict[str, Webhook] = {}
    subscriptions: dict[str, Subscription] = {}  # of the contact center
    attachment_actions: dict[str, AttachmentAction] = {}
    events: dict[str, Event] = {}
    activities: dict[str, Activity] = {}
    room_activities: dict[str, list[str]] = {}  # by room, in their order
    uploads: dict[str, bytes] = {}  # encrypted files of the conversation service
    audit: dict[str, AuditEvent] = {}
    room_tabs: dict[str, dict[str, object]] = {}
    linked_folders: dict[str, dict[str, object]] = {}
    devices: dict[str, Device] = {}
    content_keys: dict[str, ContentKey] = {}  # by URI, as the next two
    key_resources: dict[str, KeyResource] = {}
    agreed_keys: dict[str, AgreedKey] = {}
    presences: dict[str, Presence] = {}  # by person
    features: dict[str, dict[str, dict[str, dict[str, object]]]] = {}  # by person, kind and key

    def __repr__(self) -> str:
        return f"<State: {len(self.people)} people, {len(self.rooms)} rooms, {len(self.messages)} messages>"
