"""Exchange encrypted requests and answers with the key service (KMS) for one user, after a key agreement.

Requests go out over HTTP, answers come in over the Mercury socket, in any order, and are matched by the request id
inside them (kms §2-6). An answer that is not encrypted under this channel's
key, or not signed by the verified static key, changes nothing but a counter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from uuid import uuid4

import msgspec

from webex.encryption import jose
from webex.encryption.jose import BadTokenError, Cipher
from webex.encryption.kms_identity import check_static_key, read_static_key
from webex.errors import KeyRevokedError, KMSError, KMSIdentityError, KMSTimeoutError
from webex.ids import base64url_decode

T = TypeVar("T")

_logger = logging.getLogger("webex.encryption")

_GATHER: Final = 0.02  # seconds in which requests are gathered into one POST
_MOST_AT_ONCE: Final = 50
_PATIENCE: Final = (6.0, 12.0, 24.0, 48.0)  # seconds to wait for an answer, try after try
_BEFORE_EXPIRY: Final = 30.0
_KEPT: Final = 4  # agreed keys: an answer may come under the one before the present one


class KMSTransport(Protocol):
    """Carry the messages of a channel: HTTP requests, the bearer token, the clock."""

    device_url: str
    user_id: str

    async def details(self) -> Mapping[str, Any]:
        """Return the body of `GET {encryption}/kms/{userId}`."""
        ...

    async def post(self, destination: str, messages: Sequence[str]) -> Any:
        """Send `POST {encryption}/kms/messages`; return the body of the answer."""
        ...

    async def bearer(self) -> str:
        """Return a token for the key service, without `Bearer`."""
        ...

    async def renew_bearer(self) -> bool:
        """Get another token after the key service rejected this one; False when there is none."""
        ...

    def now(self) -> float:
        """Return seconds since the epoch by the cloud's clock."""
        ...


class _Renegotiate(Exception):
    """The channel's key is no longer known to the key service."""


class _AskAgain(Exception):
    """The socket that would have brought the answer is gone."""


class _Context:
    """One agreed key, until it expires."""

    __slots__ = ("cipher", "expires", "uri")

    def __init__(self, uri: str, cipher: Cipher, expires: float) -> None:
        self.uri: str = uri
        self.cipher: Cipher = cipher
        self.expires: float = expires


class _Waiting(NamedTuple):
    """The future of a request's answer, and the key that the request was encrypted with."""

    future: asyncio.Future[dict[str, Any]]
    context: _Context


class KMSChannel:
    """Send requests to the key service for one user. `receive` takes what the socket brings."""

    def __init__(
        self, transport: KMSTransport, *, roots: Sequence[bytes] = (), patience: Sequence[float] = _PATIENCE
    ) -> None:
        self._transport = transport
        self._roots = tuple(roots)
        self._patience = tuple(patience)
        self._cluster = ""
        self._static: dict[str, Any] | None = None
        self._context: _Context | None = None
        self._contexts: dict[str, _Context] = {}  # the present one, and the last ones before it
        self._waiting: dict[str, _Waiting] = {}
        self._agreeing: asyncio.Task[_Context] | None = None
        self._agreement: asyncio.Future[dict[str, Any]] | None = None
        self._outgoing: list[tuple[str, str]] = []  # request id, encrypted request
        self._sending: asyncio.Task[None] | None = None
        self.unmatched: int = 0  # answers without a waiting request: late, repeated or forged ones

    async def request(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request; `KMSError` when it is refused, `KMSTimeoutError` when none comes."""
        renewed = reauthorized = False
        timeouts = 0
        while timeouts < len(self._patience):
            context = await self.agree()
            request_id, future = self._expect(context)
            try:
                await self._enqueue(context, payload, request_id)
                await asyncio.wait([future], timeout=self._patience[timeouts])
                if not future.done():
                    timeouts += 1
                    if timeouts > 1:
                        self.forget(context)  # it may be the channel that is dead
                    continue
                answer = future.result()
            except _AskAgain:
                continue
            except _Renegotiate:
                self.forget(context)
                if renewed:
                    raise KMSError("The key service refuses a channel that was just agreed.") from None
                renewed = True
                continue
            finally:
                self._waiting.pop(request_id, None)
            if answer.get("status") == 401 and not reauthorized:
                reauthorized = True
                if await self._transport.renew_bearer():
                    continue
            return _checked(answer, request_id)
        raise self._timed_out()

    async def encrypt(self, payload: Mapping[str, Any]) -> str:
        """Encrypt a request that another service forwards to the key service (`kmsMessage`)."""
        context = await self.agree()
        body = await self._body(payload, str(uuid4()))
        return context.cipher.encrypt(msgspec.json.encode(body), kid=context.uri)

    def decrypt_relayed(self, token: Any) -> dict[str, Any]:
        """Decrypt the answer that a service gave back for a forwarded request."""
        try:
            answer = _object(self._context_of(token).cipher.decrypt(token))
        except BadTokenError:
            raise KMSError("The forwarded answer of the key service can't be opened.") from None
        return _checked(answer, None)

    async def agree(self) -> _Context:
        """Return the present key, or agree on a new one; concurrent callers share one agreement."""
        context = self._context
        if context is not None and self._transport.now() < context.expires - _BEFORE_EXPIRY:
            return context
        agreeing = self._agreeing
        if agreeing is None or agreeing.done():
            agreeing = self._agreeing = asyncio.ensure_future(self._agree())
            agreeing.add_done_callback(_seen)
        return await shared(agreeing, "The connection was closed before the key service answered.")

    def forget(self, context: _Context | None = None) -> None:
        """Agree anew on next use; with `context`, only if it is still the present one."""
        if context is None or self._context is context:
            self._context = None

    def _remember(self, uri: str, cipher: Cipher, expires: float) -> _Context:
        self._context = self._contexts[uri] = _Context(uri, cipher, expires)
        while len(self._contexts) > _KEPT:
            del self._contexts[next(iter(self._contexts))]
        return self._context

    def receive(self, messages: Any) -> None:
        """Take the answers of one event. Never raises; what fits nothing is counted and dropped."""
        if not isinstance(messages, list | tuple):
            self.unmatched += 1
            return
        for token in messages:
            try:
                self._receive(token)
            except BadTokenError as error:
                self.unmatched += 1
                _logger.warning("an answer of the key service was dropped: %s", error)

    def reconnected(self) -> None:
        """Repeat the requests whose answers may have been lost with the previous socket."""
        for future in (*(waiting.future for waiting in self._waiting.values()), self._agreement):
            if future is not None and not future.done():
                future.set_exception(_AskAgain())

    async def close(self) -> None:
        """End what is under way; waiting callers get a `KMSError`."""
        tasks: list[asyncio.Task[Any]] = [
            task for task in (self._agreeing, self._sending) if task is not None and not task.done()
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._outgoing.clear()
        for future in (*(waiting.future for waiting in self._waiting.values()), self._agreement):
            if future is not None and not future.done():
                future.set_exception(KMSError("The connection was closed before the key service answered."))
                future.exception()
        self._waiting.clear()

    # What comes in

    def _receive(self, token: Any) -> None:
        if not isinstance(token, str):
            raise BadTokenError("It is no text.")
        if token.count(".") == 2:
            self._receive_signed(token)
            return
        context = self._context_of(token)
        answer = _object(context.cipher.decrypt(token))
        request_id = str(answer.get("requestId"))
        waiting = self._waiting.get(request_id)
        if waiting is None or waiting.future.done() or waiting.context is not context:
            self.unmatched += 1
            return
        del self._waiting[request_id]
        waiting.future.set_result(answer)

    def _context_of(self, token: Any) -> _Context:
        """Return the agreed key that a message names, or the present one when it names none."""
        kid = jose.header_of(token).get("kid")
        context = self._context if kid is None else self._contexts.get(kid) if isinstance(kid, str) else None
        if context is None:
            raise BadTokenError("It was encrypted for another channel.")
        return context

    def _receive_signed(self, token: str) -> None:
        pending = self._agreement
        if self._static is None:
            raise BadTokenError("No channel was asked for.")
        try:
            answer = _object(jose.verify(token, self._static))
        except BadTokenError:
            if pending is not None and not pending.done():
                # Fail at once on a bad signature instead of timing out.
                pending.set_exception(KMSIdentityError("The signature of the key service's answer is wrong."))
                return
            raise
        expected = str(answer.get("requestId"))
        if pending is not None and not pending.done() and getattr(pending, "request_id", expected) == expected:
            pending.set_result(answer)
        elif answer.get("status") == 403:
            # Signed, not encrypted: it no longer knows our key. The waiting requests are repeated under a new one.
            named = [self._waiting.get(expected)] if "requestId" in answer else list(self._waiting.values())
            meant = [waiting for waiting in named if waiting is not None and not waiting.future.done()]
            for waiting in meant:
                self.forget(waiting.context)
                waiting.future.set_exception(_Renegotiate())
            self.unmatched += not meant
        else:
            self.unmatched += 1

    # What goes out

    def _expect(self, context: _Context) -> tuple[str, asyncio.Future[dict[str, Any]]]:
        request_id = str(uuid4())
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = _Waiting(future, context)
        return request_id, future

    async def _body(self, payload: Mapping[str, Any], request_id: str) -> dict[str, Any]:
        credential = {"userId": self._transport.user_id, "bearer": await self._transport.bearer()}
        return {
            **payload,
            "requestId": request_id,
            "client": {"clientId": self._transport.device_url, "credential": credential},
        }

    async def _enqueue(self, context: _Context, payload: Mapping[str, Any], request_id: str) -> None:
        body = await self._body(payload, request_id)
        self._outgoing.append((request_id, context.cipher.encrypt(msgspec.json.encode(body), kid=context.uri)))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send())
            self._sending.add_done_callback(_seen)

    async def _send(self) -> None:
        await asyncio.sleep(_GATHER)
        while self._outgoing:
            batch, self._outgoing = self._outgoing[:_MOST_AT_ONCE], self._outgoing[_MOST_AT_ONCE:]
            try:
                body = await self._transport.post(self._cluster, [encrypted for _, encrypted in batch])
            except Exception as error:  # whatever it is, those who wait must not wait in vain
                for request_id, _ in batch:
                    waiting = self._waiting.get(request_id)
                    if waiting is not None and not waiting.future.done():
                        waiting.future.set_exception(error)
                continue
            if isinstance(body, dict) and body.get("kmsMessages"):
                self.receive(body["kmsMessages"])  # answered in line

    async def _agree(self) -> _Context:
        try:
            static = await self._identity()
            reauthorized = False
            timeouts = 0
            while timeouts < len(self._patience):
                private = jose.new_agreement_key()
                request_id = str(uuid4())
                payload = {"uri": f"{self._cluster}/ecdhe", "method": "create", "jwk": jose.agreement_jwk(private)}
                encrypted = jose.encrypt_for_rsa(msgspec.json.encode(await self._body(payload, request_id)), static)
                self._agreement = pending = _Agreement(request_id)
                try:
                    body = await self._transport.post(self._cluster, [encrypted])
                    if isinstance(body, dict) and body.get("kmsMessages"):
                        self.receive(body["kmsMessages"])
                    await asyncio.wait([pending], timeout=self._patience[timeouts])
                finally:
                    self._agreement = None
                if not pending.done():
                    timeouts += 1
                    continue
                try:
                    answer = pending.result()
                except _AskAgain:
                    continue
                if answer.get("status") == 401 and not reauthorized:
                    reauthorized = True
                    if await self._transport.renew_bearer():
                        continue
                return self._agreed(private, _checked(answer, request_id))
        except KMSIdentityError:
            self._static = None  # it may have another key by now: ask, and check, anew
            raise
        raise self._timed_out()

    async def _identity(self) -> dict[str, Any]:
        """Return the verified static key; requested once."""
        if self._static is None:
            details = await self._transport.details()
            cluster = details.get("kmsCluster") if isinstance(details, Mapping) else None
            if not isinstance(cluster, str) or not cluster.startswith("kms://"):
                raise KMSIdentityError("The encryption service names no key service.")
            static = read_static_key(details.get("rsaPublicKey"))
            check_static_key(static, self._roots)
            self._cluster, self._static = cluster, static
        return self._static

    def _agreed(self, private: Any, answer: Mapping[str, Any]) -> _Context:
        key = answer.get("key")
        try:
            uri, peer = key["uri"], key["jwk"]  # type: ignore[index]  # whatever else it is raises TypeError
            moment = datetime.fromisoformat(key["expirationDate"])  # type: ignore[index]  # as above
            expires = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            secret = jose.agree(private, peer)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, BadTokenError):
            raise KMSError("The key service's answer to the key agreement can't be read.") from None
        return self._remember(str(uri), Cipher(secret), expires)

    def _timed_out(self) -> KMSTimeoutError:
        return KMSTimeoutError(f"The key service did not answer within {sum(self._patience):g} s.")


class _Agreement(asyncio.Future[dict[str, Any]]):
    """The future of one key agreement's answer."""

    def __init__(self, request_id: str) -> None:
        super().__init__()
        self.request_id = request_id


def secret_of(key: Any) -> bytes:
    """Return the 32 bytes of a key that the key service gave out; `KMSError` when it is none."""
    try:
        secret = base64url_decode(key["jwk"]["k"])
    except (KeyError, TypeError, ValueError, AttributeError):
        secret = b""
    if len(secret) != jose.KEY_BYTES:
        raise KMSError("The key service gave out a key that can't be used.")
    return secret


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise BadTokenError("What was encrypted is no JSON.") from None
    if not isinstance(value, dict):
        raise BadTokenError("What was encrypted is no JSON object.")
    return value


def _checked(answer: dict[str, Any], request_id: str | None) -> dict[str, Any]:
    status = answer.get("status")
    if not isinstance(status, int):
        raise KMSError("The key service's answer has no status.", request_id=request_id)
    if status < 400:
        return answer
    code = answer.get("errorCode")
    reason = answer.get("reason")
    kind: Callable[..., KMSError] = KMSError
    if status == 405 and code in (405005, 405006):
        kind = KeyRevokedError
    text = f"The key service refused with {status}" + (f": {reason[:200]}" if isinstance(reason, str) else "")
    raise kind(text, status=status, error_code=code if isinstance(code, int) else None, request_id=request_id)


async def shared(task: asyncio.Task[T], closed: str) -> T:
    """Wait for a shared task without cancelling it with the caller; its own cancellation is a `KMSError`."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if task.cancelled() and not (current is not None and current.cancelling()):
            raise KMSError(closed) from None
        raise


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
