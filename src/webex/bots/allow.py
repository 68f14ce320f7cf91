"""Who may use a bot: rules that hold for messages, buttons and forms alike, combined by `&`, `|` and `~`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from webex.ids import comparable_id, person_uuid
from webex.models.base import Model
from webex.realtime.event import BOT_DOMAINS

__all__ = ["Rule", "domain", "everybody_in_room", "everyone", "members_of", "org", "people", "rooms"]

if TYPE_CHECKING:
    from webex.bots.context import Context

Check = Callable[["Context"], Awaitable[bool]]
_FRESH: Final = 300.0  # seconds for which a list of members is believed


class Rule:
    """A rule: `await rule.allows(ctx)`; `allow.domain("example.com") & ~allow.rooms(room_id)` combines two.

    `lists_members` says that it lists the members of rooms, and so has to know when they change.
    """

    def __init__(self, check: Check, text: str, *, lists_members: bool = False) -> None:
        self._check, self._text = check, text
        self.lists_members: bool = lists_members

    async def allows(self, ctx: Context) -> bool:
        """Whether what happened may be handled."""
        return await self._check(ctx)

    def __and__(self, other: Rule) -> Rule:
        async def both(ctx: Context) -> bool:
            return await self.allows(ctx) and await other.allows(ctx)

        return Rule(both, f"({self} and {other})", lists_members=self.lists_members or other.lists_members)

    def __or__(self, other: Rule) -> Rule:
        async def either(ctx: Context) -> bool:
            return await self.allows(ctx) or await other.allows(ctx)

        return Rule(either, f"({self} or {other})", lists_members=self.lists_members or other.lists_members)

    def __invert__(self) -> Rule:
        async def no(ctx: Context) -> bool:
            return not await self.allows(ctx)

        return Rule(no, f"not {self}", lists_members=self.lists_members)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def everyone() -> Rule:
    """Allow all who can reach the bot."""

    async def check(ctx: Context) -> bool:
        return True

    return Rule(check, "everyone")


def domain(*domains: str) -> Rule:
    """Allow people with an e-mail address of one of these domains."""
    wanted = frozenset(each.lower().lstrip("@") for each in domains)

    async def check(ctx: Context) -> bool:
        return (await ctx.email() or "").lower().rpartition("@")[2] in wanted

    return Rule(check, f"a domain of {', '.join(sorted(wanted))}")


def people(*people: str) -> Rule:
    """Allow these people, by their e-mail addresses or ids."""
    emails = frozenset(each.lower() for each in people if "@" in each)
    ids = frozenset(person_uuid(each) for each in people if "@" not in each)

    async def check(ctx: Context) -> bool:
        if person_uuid(ctx.person.id) in ids:
            return True
        return bool(emails) and (await ctx.email() or "").lower() in emails

    return Rule(check, f"{len(people)} people")


def rooms(*room_ids: str) -> Rule:
    """Allow what happens in these rooms."""
    wanted = frozenset(map(comparable_id, room_ids))

    async def check(ctx: Context) -> bool:
        return comparable_id(ctx.room_id) in wanted

    return Rule(check, f"{len(wanted)} rooms")


def org(*org_ids: str) -> Rule:
    """Allow people of these organizations."""
    wanted = frozenset(map(comparable_id, org_ids))

    async def check(ctx: Context) -> bool:
        return comparable_id(await ctx.org_id() or "") in wanted

    return Rule(check, f"{len(wanted)} organizations")


def members_of(room_id: str) -> Rule:
    """Allow the members of a room that the bot is in, wherever they write; the list is renewed every five minutes."""
    members = _Members()

    async def check(ctx: Context) -> bool:
        return any(person_uuid(each.person_id) == person_uuid(ctx.person.id) for each in await members.of(ctx, room_id))

    return Rule(check, "the members of a room", lists_members=True)


def everybody_in_room(*domains: str) -> Rule:
    """Allow rooms in which every member has an address of one of these domains; bots do not count."""
    wanted = frozenset(each.lower().lstrip("@") for each in domains)
    members = _Members()

    async def check(ctx: Context) -> bool:
        if not ctx.room_id:
            return False
        for member in await members.of(ctx, ctx.room_id):
            email = (member.person_email or "").lower()
            if email.rpartition("@")[2] not in wanted and not email.endswith(BOT_DOMAINS):
                return False
        return True

    return Rule(check, f"rooms of {', '.join(sorted(wanted))} alone", lists_members=True)


class _Members:
    """The members of rooms, listed again after five minutes, or when a membership of the room changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, int, list[Any]]] = {}

    async def of(self, ctx: Context, room_id: str) -> list[Any]:
        now, changes = ctx.bot.now(), ctx.bot.membership_changes(room_id)
        room = comparable_id(room_id)
        known = self._known.get(room)
        if known is not None and 0 <= now - known[0] < _FRESH and known[1] == changes:
            return known[2]
        found: list[Model] = [each async for each in ctx.async_client.memberships.list(room_id=room_id)]
        if len(self._known) >= 1000:
            self._known.clear()
        self._known[room] = (now, changes, found)
        return found
