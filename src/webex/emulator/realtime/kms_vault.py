"""Where the key service keeps keys, and its rules: who may have which (KMS draft; kms §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webex.emulator.realtime.kms_identity import CLUSTER
from webex.emulator.state import ContentKey, KeyResource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webex.emulator.cloud import Cloud


class Vault:
    """The keys and resources of a cloud. The caller holds the cloud's lock."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def key(self, uri: str) -> ContentKey | None:
        """Return the key with this URI."""
        return self._cloud.state.content_keys.get(uri)

    def resource(self, uri: str) -> KeyResource | None:
        """Return the resource with this URI."""
        return self._cloud.state.key_resources.get(uri)

    def new_key(self, person_id: str, client_id: str = "") -> ContentKey:
        """Make a key that only its maker may have, until it is bound."""
        cloud = self._cloud
        key = ContentKey(
            uri=f"{CLUSTER}/keys/{cloud.new_uuid()}",
            secret=bytes.fromhex(cloud.new_secret()),
            person_id=person_id,
            created=cloud.now(),
            client_id=client_id,
        )
        cloud.state.content_keys[key.uri] = key
        return key

    def new_resource(self, person_id: str, members: Iterable[str], keys: Iterable[ContentKey]) -> KeyResource:
        """Make a resource with these keys bound to it; its maker is always a member."""
        cloud = self._cloud
        resource = KeyResource(uri=f"{CLUSTER}/resources/{cloud.new_uuid()}", person_id=person_id, created=cloud.now())
        cloud.state.key_resources[resource.uri] = resource
        for member in dict.fromkeys([person_id, *members]):
            self.authorize(resource, member)
        for key in keys:
            self.bind(key, resource)
        return resource

    def bind(self, key: ContentKey, resource: KeyResource) -> None:
        """From now on the members of the resource may have the key."""
        key.bound, key.resource_uri = self._cloud.now(), resource.uri
        resource.key_uris.append(key.uri)

    def authorize(self, resource: KeyResource, member: str) -> str:
        """Authorize a person, or all members of another resource; return the URI of the authorization."""
        uri = resource.authorizations.get(member)
        if uri is None:
            uri = resource.authorizations[member] = f"{CLUSTER}/authorizations/{self._cloud.new_uuid()}"
        return uri

    def deauthorize(self, resource: KeyResource, member: str) -> str | None:
        """End a person's authorization; return its URI."""
        return resource.authorizations.pop(member, None)

    def may_use(self, person_id: str, resource: KeyResource | None) -> bool:
        """Whether a person is a member, by name or through another resource."""
        seen: set[str] = set()
        waiting = [resource]
        while waiting:
            current = waiting.pop()
            if current is None or current.uri in seen:
                continue
            if person_id in current.authorizations:
                return True
            seen.add(current.uri)
            waiting.extend(self.resource(member) for member in current.authorizations if member.startswith("kms:"))
        return False

    def may_read(self, person_id: str, key: ContentKey) -> bool:
        """Return whether a person may have a key: its maker while it is unbound, else the members of its resource."""
        if key.resource_uri is None:
            return key.person_id == person_id
        return self.may_use(person_id, self.resource(key.resource_uri))
