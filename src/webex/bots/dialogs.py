"""Dialogs: stored state machines. The fields of the struct are all that is remembered, its methods are the steps.

    @bot.dialog
    class Onboard(Dialog, version=1):
        name: str = ""

        async def start(self, ctx: Context) -> None:
            await ctx.ask("What is your name?", then=self.named)

        async def named(self, ctx: Context, text: str) -> None:
            self.name = text
            await ctx.reply(f"Welcome, {text}.")

The record is written after a step, before the event is acknowledged: a step that was killed runs again, marked
`ctx.redelivered`; one that was written is recognized by the key of its event and does not run twice. A dialog whose
time ran out is ended by `webex.bots.time_outs`, or by the answer that comes too late, whichever is first.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, dataclass_transform

import msgspec

from webex.bots.commands import Parameter, UsageError, hints_of, parameters_of, place_of
from webex.bots.converters import DoesNotFitError, convert, is_rest
from webex.bots.forms import Form, forms_in
from webex.bots.middlewares import within_middlewares
from webex.bots.words import Word
from webex.errors import ConfigurationError
from webex.ids import comparable_id, person_uuid

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage
    from webex.bots.context import Context
    from webex.bots.router import Router
    from webex.bots.text import Said

NAMESPACE: Final = "bot-dialogs"
_ENDED: Final = 86_400.0  # seconds for which the end of a dialog is remembered
_LEASE: Final = 5.0  # seconds until a dialog goes on at another worker, after the one that ran a step was killed
_CANCEL: Final = frozenset({"cancel", "stop", "quit"})


@dataclass_transform(field_specifiers=(msgspec.field,))
class _DialogMeta(msgspec.StructMeta):
    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        version: int = 1,
        timeout: timedelta = timedelta(days=1),
        **options: Any,
    ) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace, **options)
        cls.__dialog__ = (version, timeout)
        return cls


class Dialog(msgspec.Struct, metaclass=_DialogMeta):
    """The base of dialogs; `version` changes when old records no longer fit, `timeout` ends a dialog that waits.

    A step takes the context, and then the answer: a text or a value as a command's parameter, or the form that was
    asked for. One dialog runs at a time for a person in a room and thread. `cancel` ends it.
    """

    __dialog__: ClassVar[tuple[int, timedelta]] = (1, timedelta(days=1))

    if TYPE_CHECKING:

        def __init_subclass__(
            cls, *, version: int = 1, timeout: timedelta = timedelta(days=1), **options: Any
        ) -> None: ...

    async def start(self, ctx: Context) -> Any:
        """Override: the first step."""
        raise NotImplementedError(f"{type(self).__name__} needs a start(self, ctx).")

    @classmethod
    async def on_lost(cls, ctx: Context) -> Any:
        """Override what is said when the bot was changed, and the dialog can't go on."""
        return "I was updated meanwhile; please start again."

    async def on_timeout(self, ctx: Context) -> Any:
        """Override what is said when an answer comes after the time-out."""
        return "That took too long; please start again."

    async def on_cancel(self, ctx: Context) -> Any:
        """Override what is said when the person cancels."""
        return "Cancelled."


class Asked(msgspec.Struct):
    """What a step asked: which step takes the answer, and where it is awaited."""

    step: str
    place: tuple[str, str | None]  # the room and the thread that the question was sent to
    room_type: str = ""
    form: str = ""  # the name of the form whose submission is awaited
    expires: float = 0.0


class Record(msgspec.Struct):
    """What is stored of a dialog."""

    kind: str
    version: int
    step: str
    fields: dict[str, Any]
    last_key: str
    expires: float
    form: str = ""
    done: bool = False
    person: str = ""  # who is to answer, and where: for the end of a dialog that nobody answers
    room: str = ""
    thread: str = ""
    room_type: str = ""
    ending: bool = False  # a worker has begun to end it, because its time ran out


def read_record(value: Any) -> Record | None:
    """Return a stored record; None for what can't be read."""
    try:
        return msgspec.convert(value, Record)
    except msgspec.ValidationError:
        return None


class Running:
    """The dialog of a person in a room and thread, as it is stored."""

    def __init__(self, storage: AsyncAppStorage, bot: str, person: str, room_id: str, thread: str | None) -> None:
        self._storage = storage.for_user(person_uuid(person))
        self.key: str = f"{bot}:{comparable_id(room_id)}:{comparable_id(thread) if thread else '-'}"
        self._loaded: Any = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until no other worker runs a step of this dialog."""
        import asyncio

        from webex.bots.leader import leased
        from webex.http.timing import Backoff

        pause = Backoff(0.02, 0.5)
        while True:
            async with leased(self._storage, NAMESPACE, self.key, _LEASE) as held:
                if held:
                    yield
                    return
            await asyncio.sleep(pause.next())

    async def load(self) -> Record | None:
        """Return the record; None when there is none that can be read."""
        value = self._loaded = await self._storage.get(NAMESPACE, self.key)
        return None if value is None else read_record(value)

    async def save(self, record: Record, now: float) -> None:
        """Write the record; it is kept for a week beyond its time-out, so that a late answer is told.

        Where another worker has written one meanwhile, the event is handled again: it meets the next step.
        """
        from webex.bots.signals import Retry

        keep = _ENDED if record.done else max(record.expires - now, 0.0) + 7 * _ENDED
        written = msgspec.to_builtins(record)

        def replaced(present: Any) -> Any:
            if present != self._loaded:
                raise Retry(0.1)
            return written

        await self._storage.update(NAMESPACE, self.key, replaced, expires_in=keep)
        self._loaded = written


class Dialogs:
    """The dialogs that a bot knows, and how they go on."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._known: dict[str, type[Dialog]] = {}
        self._routers: dict[str, tuple[Router, ...]] = {}  # by dialog, the innermost first

    def add(self, cls: type[Dialog]) -> None:
        """Register a dialog; `ConfigurationError` for a step that no answer fits, or a name that is taken."""
        known = self._known.get(cls.__name__)
        if known is not None and known is not cls:
            raise ConfigurationError(
                f"There are two dialogs {cls.__name__}: in {known.__module__} and in {cls.__module__}."
            )
        if cls.start is Dialog.start:
            raise ConfigurationError(f"The dialog {cls.__name__} needs a start(self, ctx).")
        self._known[cls.__name__] = cls
        self._routers[cls.__name__] = (self._router,)

    @property
    def is_empty(self) -> bool:
        """Whether there are none, so that no record has to be looked for."""
        return not self._known

    @property
    def routers(self) -> list[Router]:
        """The routers that dialogs were registered by."""
        return [router for routers in self._routers.values() for router in routers]

    def form_of(self, record: Record) -> type[Form] | None:
        """Return the form that the waiting step takes; None when the dialog has changed."""
        step = getattr(self._known.get(record.kind), record.step, None)
        forms = _forms_of(step) if step is not None else []
        return next((form for form in forms if form.__qualname__ == record.form), None)

    def asks_for(self, form: str) -> bool:
        """Whether a dialog may ask for this form."""
        for cls in self._known.values():
            for name in dir(cls):
                step = getattr(cls, name, None) if not name.startswith("_") else None
                if not inspect.isfunction(step) or step is getattr(Dialog, name, None):
                    continue
                if any(each.__qualname__ == form for each in _forms_of(step)):
                    return True
        return False

    def include(self, other: Dialogs) -> None:
        """Take over the dialogs of a router."""
        for name, cls in other._known.items():
            self.add(cls)
            self._routers[name] = (*other._routers[name], self._router)

    def routers_of(self, kind: str) -> tuple[Router, ...]:
        """Return the routers that a dialog was registered by, the innermost first."""
        return self._routers.get(kind, ())

    def restored(self, record: Record) -> Dialog | None:
        """Return the dialog of a record; None when the bot has changed since it was written."""
        cls = self._known.get(record.kind)
        if cls is None or getattr(cls, record.step, None) is None or cls.__dialog__[0] != record.version:
            return None
        try:
            return msgspec.convert(record.fields, cls)
        except msgspec.ValidationError:
            return None

    async def begin(self, ctx: Context, dialog: Dialog) -> Any:
        """Run the first step of a dialog."""
        if type(dialog).__name__ not in self._known:
            raise ConfigurationError(f"Register {type(dialog).__name__} first: @bot.dialog above its class.")
        record = await ctx.running.load()
        if record is not None and record.last_key == ctx.key:
            return None  # it has begun, before the bot was stopped
        return await self._run(ctx, dialog, dialog.start, ())

    async def answered(self, ctx: Context, record: Record, said: Said, form: Form | None, form_name: str) -> Any:
        """Run the step that waits for what was said or submitted."""
        dialog = self.restored(record)
        if dialog is None:
            return await self._end(ctx, record, self._known.get(record.kind, Dialog).on_lost, ctx.key)
        if record.expires < ctx.bot.now():
            return await self._end(ctx, record, dialog.on_timeout, ctx.key)
        if form is None and said.text.strip().casefold() in _CANCEL:
            return await self._end(ctx, record, dialog.on_cancel, ctx.key)
        bound = getattr(dialog, record.step)
        if form is not None:
            if record.form != form_name:
                return None
            return await self._run(ctx, dialog, bound, (form,), within=True)
        if record.form:
            return "Please fill in the form above, or say cancel."
        try:
            arguments = await _arguments(ctx, bound, said)
        except UsageError as error:
            return str(error)  # the record stays: the same step is asked again
        return await self._run(ctx, dialog, bound, arguments, within=True)

    async def _run(
        self,
        ctx: Context,
        dialog: Dialog,
        step: Callable[..., Any],
        arguments: tuple[Any, ...],
        *,
        within: bool = False,
    ) -> None:
        """Run a step, and write down what it waits for; a first step is within the middlewares already."""

        async def call() -> Any:
            ctx.dialog, ctx.asked = dialog, None
            result = await ctx.call(step, ctx.facade, *arguments)
            return await self.begin(ctx, result) if isinstance(result, Dialog) else result

        result = await within_middlewares(ctx, self.routers_of(type(dialog).__name__), call) if within else await call()
        if ctx.dialog is not dialog:
            return  # another one was begun in its place
        await ctx.bot.answer(ctx, result)  # before the record: a step that is not answered runs again
        version, timeout = type(dialog).__dialog__
        expires = ctx.bot.now() + timeout.total_seconds()
        record = Record(
            type(dialog).__name__, version, "", msgspec.to_builtins(dialog), ctx.key, expires, done=ctx.asked is None
        )
        if ctx.asked is not None:
            record.step, record.form = ctx.asked.step, ctx.asked.form
            record.expires = ctx.asked.expires or expires
            record.person, record.room_type = ctx.person.id, ctx.asked.room_type
            record.room, record.thread = ctx.asked.place[0], ctx.asked.place[1] or ""
            there = ctx.running_at(*ctx.asked.place)
            if there.key != ctx.running.key:  # the answer comes in another room or thread
                await there.load()
                await there.save(record, ctx.bot.now())
                record.done = True
        await ctx.running.save(record, ctx.bot.now())

    async def timed_out(self, ctx: Context, record: Record) -> bool:
        """End a dialog that nobody answered; False for one of another version of the bot, which is left to that."""
        dialog = self.restored(record)
        if dialog is None:
            return False
        record.ending = True
        await ctx.running.save(record, ctx.bot.now())
        await self._end(ctx, record, dialog.on_timeout, record.last_key)
        return True

    async def _end(self, ctx: Context, record: Record, last_step: Callable[..., Any], key: str) -> None:
        """Run the last step of a dialog, and then write down that it is over: a kill in between repeats the step."""
        call = partial(ctx.call, last_step, ctx.facade)
        await ctx.bot.answer(ctx, await within_middlewares(ctx, self.routers_of(record.kind), call))
        if await ctx.running.load() == record:  # else another one was begun in its place
            record.done, record.last_key = True, key
            await ctx.running.save(record, ctx.bot.now())


def step_name(dialog: Dialog | None, step: Callable[..., Any]) -> str:
    """Return the name of a step; `ConfigurationError` unless it is a method of the dialog that runs."""
    owner, name = getattr(step, "__self__", None), getattr(step, "__name__", "")
    if dialog is None:
        raise ConfigurationError("ctx.ask(…) is for the steps of a dialog: return one from the handler to begin it.")
    if owner is not dialog or getattr(type(dialog), name, None) is None:
        raise ConfigurationError(f"then= takes a method of {type(dialog).__name__}: then=self.named.")
    return name


def check_form(step: Callable[..., Any], form: type[Form]) -> None:
    """Raise `ConfigurationError` when a step does not take the form that is asked for."""
    if form not in _forms_of(step):
        raise ConfigurationError(f"{place_of(step)} takes no {form.__name__}: def {step.__name__}(self, ctx, form: …).")


def _forms_of(step: Callable[..., Any]) -> list[type[Form]]:
    """Return the forms that a step takes."""
    hints = hints_of(step, place_of(step))
    return [form for name, hint in hints.items() if name != "return" for form in forms_in(hint)]


async def _arguments(ctx: Context, step: Callable[..., Any], said: Said) -> tuple[Any, ...]:
    parameters = parameters_of(step)
    if not parameters:
        return ()
    parameter: Parameter = parameters[0]
    text = said.text
    if parameter.annotation is str or is_rest(parameter.annotation):
        if not text.strip():
            raise UsageError("Please answer with a text.")
        return (text,)
    words = said.words()
    word = words[0] if len(words) == 1 else Word(text, 0)
    try:
        return (await convert(ctx, word, parameter.annotation),)
    except DoesNotFitError as error:
        raise UsageError(f'"{text}" does not fit. {error}') from None
