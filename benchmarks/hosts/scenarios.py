"""What is done to the hosts while their workers meet one expired token, and what is promised of each."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from benchmarks.hosts.run import Result, Run
from benchmarks.hosts.storages import until

# How calls end when the cloud, which takes each refresh token once, has ended the grant: the last is that of a call
# whose token was refreshed, and ended before it was used.
GRANT_ENDED: Final = {
    "ReauthorizationRequiredError:outcome_unknown",
    "ReauthorizationRequiredError:refused",
    "AuthenticationError:401",
}


def one_token(run: Run, calls: int) -> Result:
    """All meet one expired token: one refresh, and no call fails."""
    result = _begin(run, "one expired token")
    _all(run, result, calls)
    run.finish(result)
    result.expect(not result.failed, "a call failed")
    result.expect(result.asked == result.refreshes == 1, "not one refresh")
    result.expect(not result.lost, "the refresh token is lost")
    return result


def killed(run: Run, calls: int) -> Result:
    """The worker that refreshes is killed when the cloud has acted; another refreshes when the lease has expired."""
    result = _begin(run, "the worker that refreshes is killed")
    run.cloud.faults.add("*", grant_type="refresh_token", count=1, latency=run.lease, after_processing=True)
    for worker in run.workers:
        worker.order(calls=calls)
    holder = run.holder()
    time.sleep(0.3)  # let the cloud act; its answer is held back
    holder.signal(signal.SIGKILL)
    for worker in run.workers:
        if worker is not holder:
            result.add(worker.answer())
    run.finish(result)
    result.expect(result.refreshes <= 2, "more than two refreshes")
    _whole(run, result)
    return result


def paused(run: Run, calls: int) -> Result:
    """The worker that refreshes is paused until another has refreshed, and goes on then."""
    result = _begin(run, "the worker that refreshes is paused past its lease")
    run.cloud.faults.add("*", grant_type="refresh_token", count=1, latency=1.0, after_processing=True)
    for worker in run.workers:
        worker.order(calls=calls)
    holder = run.holder()
    holder.signal(signal.SIGSTOP)
    for worker in run.workers:
        if worker is not holder:
            result.add(worker.answer())
    holder.signal(signal.SIGCONT)
    result.add(holder.answer())
    run.finish(result)
    result.expect(result.refreshes <= 2, "more than two refreshes")
    _whole(run, result)
    return result


def cut_from_storage(run: Run, calls: int) -> Result:
    """The host of the worker that refreshes loses the storage for longer than the lease, and keeps the cloud."""
    result = _begin(run, "its host is cut off from the storage, past the lease")
    run.cloud.faults.add("*", grant_type="refresh_token", count=1, latency=1.0, after_processing=True)
    for worker in run.workers:
        worker.order(calls=calls)
    host = run.holder().host
    host.set("storage", "cut")
    for worker in run.workers:
        if worker.host is not host:
            result.add(worker.answer())
    host.set("storage", "open")
    for worker in run.workers:
        if worker.host is host:
            result.add(worker.answer(), struck=True)
    _all(run, result, 1)  # everybody goes on afterwards
    run.finish(result)
    result.expect(result.refreshes <= 2, "more than two refreshes")
    _whole(run, result)
    return result


def cut_for_a_moment(run: Run, calls: int) -> Result:
    """The same, and the storage is there again before the lease expires: the tokens are saved, under that lease."""
    result = _begin(run, "its host is cut off from the storage, within the lease")
    run.cloud.faults.add("*", grant_type="refresh_token", count=1, latency=0.3, after_processing=True)
    for worker in run.workers:
        worker.order(calls=calls)
    host = run.holder().host
    host.set("storage", "cut")
    time.sleep(run.lease / 4)
    host.set("storage", "open")
    for worker in run.workers:
        result.add(worker.answer(), struck=worker.host is host)
    _all(run, result, 1)
    run.finish(result)
    result.expect(result.refreshes == 1, "not one refresh")
    result.expect(not result.failed, "a call failed")
    result.expect(not result.lost, "the refresh token is lost")
    return result


def cut_from_cloud(run: Run, calls: int) -> Result:
    """The host of the worker that refreshes loses the cloud before it has the request, and keeps the storage."""
    result = _begin(run, "its host is cut off from the cloud")
    run.cloud.faults.add("*", grant_type="refresh_token", count=1, latency=run.deadline + 2, drop=True)
    for worker in run.workers:
        worker.order(calls=calls)
    host = run.holder().host
    host.set("cloud", "cut")
    for worker in run.workers:
        if worker.host is not host:
            result.add(worker.answer())
    host.set("cloud", "open")
    for worker in run.workers:
        if worker.host is host:
            result.add(worker.answer(), struck=True)
    run.finish(result)
    result.expect(result.refreshes == 1, "not one refresh")
    result.expect(not result.failed, "a call failed")
    result.expect(not result.lost, "the refresh token is lost")
    return result


def restarted(run: Run, calls: int) -> Result:
    """The storage is restarted while everybody works and tokens run out every few seconds."""
    server = run.kept.own
    assert server is not None
    result = _begin(run, "the storage is restarted under load")

    def restart() -> None:
        server.stop()
        time.sleep(1.0)
        server.start()

    _under_load(run, result, restart)
    run.finish(result)
    result.expect(not result.lost, "the refresh token is lost")
    result.expect(not any("Reauth" in name or "NotSignedIn" in name for name in result.failed), "a user was signed out")
    return result


def failed_over(run: Run, calls: int) -> Result:
    """The Redis primary is killed while everybody works, and Sentinel makes a replica the primary."""
    fail_over = run.kept.fail_over
    assert fail_over is not None
    result = _begin(run, "the primary is failed over under load")
    _under_load(run, result, fail_over)
    run.finish(result)
    waits = bool(run.kept.described["replicas"])
    result.expect(not (waits and result.lost), "the refresh token is lost")
    return result


ANYWHERE: Final[tuple[Callable[[Run, int], Result], ...]] = (one_token, killed, paused)
OVER_A_NETWORK: Final = (cut_from_storage, cut_for_a_moment, cut_from_cloud)
ROTATION: Final = {
    one_token: ("strict",),
    killed: ("grace", "strict"),
    paused: ("grace", "strict"),
    cut_from_storage: ("grace", "strict"),
    cut_for_a_moment: ("strict",),
    cut_from_cloud: ("strict",),
    restarted: ("grace",),
    failed_over: ("grace",),
}


def _begin(run: Run, name: str) -> Result:
    run.expire()
    return Result(f"{name}, rotation {run.rotation}", run.kept.name)


def _all(run: Run, result: Result, calls: int) -> None:
    for worker in run.workers:
        worker.order(calls=calls)
    for worker in run.workers:
        result.add(worker.answer())


def _whole(run: Run, result: Result) -> None:
    """With strict rotation the loss is one of those that are documented; with any other nothing is lost."""
    if run.rotation == "strict":
        result.expect(set(result.failed) <= GRANT_ENDED, "a call failed otherwise than documented")
    else:
        result.expect(not result.failed, "a call failed")
        result.expect(not result.lost, "the refresh token is lost")


def _under_load(run: Run, result: Result, act: Callable[[], None]) -> None:
    """Let everybody work, and tokens expire one after the other: the next only when the last was refreshed.

    Otherwise a storage that is away for long would let the refresh token itself expire.
    """
    seconds = 4 * run.deadline + 6
    issued = run.watch.issued()
    for worker in run.workers:
        worker.order(seconds=seconds, pause=0.05)
    end = time.monotonic() + seconds
    time.sleep(1.0)
    run.cloud.clock.advance(15 * 86400)
    time.sleep(0.5)
    act()
    while time.monotonic() < end - 2.5:
        if run.watch.issued() > issued:
            issued = run.watch.issued()
            run.cloud.clock.advance(15 * 86400)
        time.sleep(2.0)
    until(lambda: time.monotonic() > end)
    for worker in run.workers:
        result.add(worker.answer())
