"""An asyncio event loop in virtual time, whose order of running is one seeded choice: the same seed gives the same run.

1. Time passes only when nothing can run; then it jumps to the earliest timer. Timers of one instant run in the order in
   which they were set.
2. What can run at one instant runs in an order that the seed chooses.
3. Sockets, files, subprocesses, threads and executors raise `RealWorld`: nothing of the machine reaches a run.
4. Nothing left to run and no timer is `Deadlock`, which names the tasks that wait; an instant that never ends is
   `Livelock`.
5. Tasks and futures hash by a counter: sets of them (TaskGroup, asyncio.wait) iterate in the same order in every process.
6. Every step is mixed into `trace_hash`: two runs with the same hash took the same steps at the same times.
7. A `Host` is a simulated process: everything that its tasks schedule is its own. It can be paused (nothing of it runs,
   what reaches it waits) and killed (nothing of it runs ever again).

Source: asyncio's documented interface of `AbstractEventLoop`; see docs/adr for why it is written anew.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
import sys
import types
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from typing import Any, NoReturn, TypeVar

__all__ = ["Deadlock", "Host", "HostKilled", "Livelock", "RealWorld", "SimFuture", "SimLoop", "SimTask", "step"]

T = TypeVar("T")

_MICRO = 1_000_000
_MASK = (1 << 64) - 1
_STEPS_PER_INSTANT = 200_000
_UNWINDING_ROUNDS = 200
_TASKS_KEPT = 64
"""So many of a process before those that are done are looked for."""


class RealWorld(RuntimeError):
    """Something of the machine was asked for inside a simulation; the text says what."""


class Deadlock(RuntimeError):
    """Nothing can run and nothing will: the text names the tasks that wait."""


class Livelock(RuntimeError):
    """So much ran without time passing that it would never end."""


class HostKilled(BaseException):
    """The simulated process is dead: no call of it reaches anything any more."""


class Host:
    """A simulated process.

    Attributes:
        steps: How many steps its tasks have taken.
        kill_at: Before that step it is killed, at whatever await it is (None: not so).
        on_kill: Called once when it dies, before its tasks unwind.
    """

    __slots__ = ("alive", "held", "kill_at", "name", "on_kill", "paused", "steps", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.steps = 0
        self.kill_at: int | None = None
        self.on_kill: Callable[[], None] = lambda: None
        self.held: list[_Handle] = []
        self.tasks: dict[SimTask[Any], None] = {}

    def __repr__(self) -> str:
        return f"Host({self.name})"

    def check(self) -> None:
        """To be called by everything that a process reaches the outside through. Raises `HostKilled`."""
        if not self.alive:
            raise HostKilled(self.name)


_HOST: contextvars.ContextVar[Host | None] = contextvars.ContextVar("trueup_sim_host", default=None)


class SimFuture(asyncio.Future[T]):
    """A future that hashes by the order in which futures are first hashed; few ever are."""

    _number: int | None = None

    def __hash__(self) -> int:
        if self._number is None:
            self._number = self.get_loop().next_number()  # type: ignore[attr-defined]
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimTask(asyncio.Task[T]):
    """A task that hashes by the order of its making."""

    _number: int | None = None

    def __hash__(self) -> int:
        if self._number is None:  # asyncio's own register of tasks hashes each when it is made
            self._number = self.get_loop().next_number()  # type: ignore[attr-defined]
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Handle:
    """One thing to run, and whose it is; what asyncio asks of a handle and of a timer handle."""

    __slots__ = ("args", "callback", "context", "host", "number", "stopped", "when_us")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        number: int,
        when_us: int,
    ) -> None:
        if context is None:
            context = contextvars.copy_context()
        self.callback = callback
        self.args = args
        self.context = context
        self.number = number
        self.when_us = when_us
        self.stopped = False
        self.host: Host | None = context.get(_HOST)

    def cancel(self) -> None:
        self.stopped = True

    def cancelled(self) -> bool:
        return self.stopped

    def when(self) -> float:
        return self.when_us / _MICRO


@types.coroutine
def step() -> Generator[None, None, None]:
    """Lets everything else that can run go first, or not: the seed chooses."""
    yield


def _forget_done(tasks: dict[SimTask[Any], None]) -> None:
    """What they failed with is told as always, when nobody holds them any more."""
    for task in [task for task in tasks if task.done()]:
        del tasks[task]


def _refuse(name: str) -> Any:
    def refused(*args: Any, **kwargs: Any) -> NoReturn:
        raise RealWorld(f"{name}: the real world was asked for inside a simulation")

    refused.__name__ = name
    return refused


_wake: Callable[[asyncio.Future[Any], Any], None] = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]
"""What `asyncio.sleep` sets its timer to."""


class SimLoop(asyncio.AbstractEventLoop):
    """See the module.

    Args:
        seed: Chooses the order of what can run at one instant.
        fifo: Run it in the order in which it was scheduled instead.
    """

    def __init__(self, seed: int = 0, *, fifo: bool = False) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a reproducible order, not a secret
        self._fifo = fifo
        self._now_us = 0
        self.next_number: Callable[[], int] = count(1).__next__
        self._ready: list[_Handle] = []
        self._timers: list[tuple[int, int, _Handle]] = []
        self._running = self._stopping = self._closed = False
        self._trace = 0
        self._waiting: dict[SimTask[Any], None] = {}
        self._dying: list[Host] = []
        self.steps = 0
        self.problems: list[dict[str, Any]] = []
        """What nobody handled: the contexts that `call_exception_handler` was given."""

    # time
    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now_us / _MICRO

    @property
    def now_us(self) -> int:
        """Microseconds since the loop was made, exactly."""
        return self._now_us

    @property
    def trace_hash(self) -> str:
        """Of all steps so far."""
        return f"{self._trace & _MASK:016x}"

    def mix(self, value: int) -> None:
        """Mixes something else that must repeat (what was sent, what was committed) into `trace_hash`."""
        self._trace = ((self._trace ^ value) * 1_099_511_628_211 + 0x9E3779B97F4A7C15) & _MASK

    # scheduling
    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        handle = _Handle(callback, args, context, self.next_number(), self._now_us)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        delay_us = round(delay * _MICRO) if delay > 0 else 0
        return self._at(self._now_us + delay_us, callback, args, context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        return self._at(round(when * _MICRO), callback, args, context)

    def _at(
        self,
        when_us: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> _Handle:
        handle = _Handle(callback, args, context, self.next_number(), when_us)
        heapq.heappush(self._timers, (when_us, handle.number, handle))
        return handle

    async def sleep(self, seconds: float) -> None:
        """As `asyncio.sleep`, a little shorter: it is what a simulation does most."""
        if seconds <= 0:
            await step()
            return
        future = SimFuture[None](loop=self)
        timer = self.call_later(seconds, _wake, future, None)
        try:
            await future
        finally:
            timer.cancel()

    def create_future(self) -> SimFuture[Any]:
        return SimFuture(loop=self)

    def create_task(self, coro: Any, **options: Any) -> SimTask[Any]:
        context: contextvars.Context | None = options.get("context")
        host = _HOST.get() if context is None else context.get(_HOST)
        if host is not None and not host.alive:
            coro.close()
            raise HostKilled(host.name)
        task: SimTask[Any] = SimTask(coro, loop=self, **options)
        mine = self._waiting if host is None else host.tasks
        if len(mine) >= _TASKS_KEPT:
            _forget_done(mine)
        mine[task] = None
        return task

    # hosts
    @contextmanager
    def on(self, host: Host) -> Generator[None, None, None]:
        """What is scheduled inside is the host's."""
        token = _HOST.set(host)
        try:
            yield
        finally:
            _HOST.reset(token)

    def pause(self, host: Host) -> None:
        """Nothing of it runs until `unpause`; its timers and what reaches it wait."""
        host.paused = True

    def unpause(self, host: Host) -> None:
        if host.paused:
            host.paused = False
            self._ready.extend(host.held)
            host.held.clear()

    def kill(self, host: Host) -> None:
        """As `kill -9`: nothing of it reaches the outside from now on. Its tasks unwind unseen.

        They unwind at once and to the end, so that no coroutine of a dead process runs later, when it is collected.
        """
        if host.alive:
            host.alive = False
            host.on_kill()
            self._drop(host)
            self._dying.append(host)

    def _unwind(self) -> None:
        """Between two steps: a task cannot run while another one does."""
        while self._dying:
            host = self._dying.pop()
            _forget_done(host.tasks)
            self._drop(host)
            before, problems = self._ready, len(self.problems)
            self._ready, host.held = host.held, []
            for _ in range(_UNWINDING_ROUNDS):
                for task in list(host.tasks):
                    task.cancel()
                while self._ready:
                    handle = self._ready.pop(0)
                    if handle.stopped:
                        continue
                    if handle.host is host:
                        self._run(handle)
                    else:
                        before.append(handle)
                for task in [task for task in host.tasks if task.done()]:
                    del host.tasks[task]
                    if not task.cancelled():
                        task.exception()
                if not host.tasks:
                    break
            self._ready = before
            del self.problems[problems:]
            self._drop(host)
            host.held.clear()

    def _drop(self, host: Host) -> None:
        """Its timers never ring; what it was about to do is kept only to be unwound."""
        host.held += [handle for handle in self._ready if handle.host is host]
        self._ready = [handle for handle in self._ready if handle.host is not host]
        self._timers = [timer for timer in self._timers if timer[2].host is not host]
        heapq.heapify(self._timers)

    # running
    def run_until_complete(self, future: Any) -> Any:
        main = asyncio.ensure_future(future, loop=self)
        main.add_done_callback(lambda _: self.stop())
        self.run_forever()
        if not main.done():
            raise RuntimeError("the simulation was stopped before its main task ended")
        return main.result()

    def run_forever(self) -> None:
        if self._running:
            raise RuntimeError("the simulation runs already")
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=None)
        self._running, self._stopping = True, False
        try:
            self._run_steps()
        finally:
            self._running = False
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(before)

    def _run_steps(self) -> None:
        chance, fifo = self._chance, self._fifo
        at_us, at_step = self._now_us, self.steps
        while not self._stopping:
            if self._dying:
                self._unwind()
            ready = self._ready
            if not ready:
                self._advance()
                at_us, at_step = self._now_us, self.steps
                continue
            count = len(ready)
            if count == 1:
                handle = ready.pop()
            elif fifo:
                handle = ready.pop(0)
            else:
                place = int(chance.random() * count)
                handle = ready[place]
                ready[place] = ready[-1]
                ready.pop()
            if handle.stopped:
                continue
            host = handle.host
            if host is not None:
                if host.paused:
                    host.held.append(handle)
                    continue
                if host.steps == host.kill_at:
                    host.held.append(handle)
                    self.kill(host)
                    continue
                host.steps += 1
            self.steps += 1
            if self.steps - at_step > _STEPS_PER_INSTANT:
                raise Livelock(f"more than {_STEPS_PER_INSTANT} steps at {at_us / _MICRO:.6f} s: {self._who()}")
            self._trace = hash((self._trace, handle.number, self._now_us))  # of numbers: no hash seed is in it
            self._run(handle)

    def _run(self, handle: _Handle) -> None:
        try:
            handle.context.run(handle.callback, *handle.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except HostKilled:
            return
        except BaseException as error:
            self.problems.append({"message": f"{handle.callback!r} failed", "exception": error})

    def _advance(self) -> None:
        """To the earliest timer; all of that instant can run then. Who only slept is woken at once: that is no step."""
        timers = self._timers
        while timers and timers[0][2].stopped:
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(f"nothing can run and no timer is set; waiting: {self._who()}")
        when_us = timers[0][0]
        self._now_us = max(self._now_us, when_us)
        ready = self._ready
        while timers and timers[0][0] <= when_us:
            handle = heapq.heappop(timers)[2]
            if handle.stopped:
                continue
            if handle.callback is _wake:
                _wake(*handle.args)
            else:
                ready.append(handle)

    def _who(self) -> str:
        return ", ".join(sorted(task.get_name() for task in self._waiting if not task.done())) or "no task"

    def stop(self) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Ends what is left: its tasks are cancelled and unwound."""
        if self._closed:
            return
        self._finish()
        self._ready.clear()
        self._timers.clear()
        self._closed = True

    def _finish(self) -> None:
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            self._unwind()
            for _ in range(_UNWINDING_ROUNDS):
                tasks = [task for task in self._waiting if not task.done()]
                if not tasks:
                    break
                for task in tasks:
                    task.cancel()
                while self._ready:
                    self._run(self._ready.pop(0))
        finally:
            asyncio._set_running_loop(before)

    async def shutdown_asyncgens(self) -> None:
        """None are kept track of."""

    async def shutdown_default_executor(self, *_: Any) -> None:
        """There is none."""

    # what asyncio asks of a loop
    get_debug = staticmethod(bool)
    """Never; asked for every future, so it is a builtin that says so."""

    def set_debug(self, enabled: bool) -> None:
        """A simulation is its own debugger."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context)

    def _timer_handle_cancelled(self, handle: object) -> None:
        """Cancelled timers are dropped when their time comes."""

    # the machine
    add_reader = _refuse("add_reader")
    add_signal_handler = _refuse("add_signal_handler")
    add_writer = _refuse("add_writer")
    call_soon_threadsafe = _refuse("call_soon_threadsafe")
    connect_accepted_socket = _refuse("connect_accepted_socket")
    connect_read_pipe = _refuse("connect_read_pipe")
    connect_write_pipe = _refuse("connect_write_pipe")
    create_connection = _refuse("create_connection")
    create_datagram_endpoint = _refuse("create_datagram_endpoint")
    create_server = _refuse("create_server")
    create_unix_connection = _refuse("create_unix_connection")
    create_unix_server = _refuse("create_unix_server")
    getaddrinfo = _refuse("getaddrinfo")
    getnameinfo = _refuse("getnameinfo")
    remove_reader = _refuse("remove_reader")
    remove_signal_handler = _refuse("remove_signal_handler")
    remove_writer = _refuse("remove_writer")
    run_in_executor = _refuse("run_in_executor")
    sendfile = _refuse("sendfile")
    sock_accept = _refuse("sock_accept")
    sock_connect = _refuse("sock_connect")
    sock_recv = _refuse("sock_recv")
    sock_recv_into = _refuse("sock_recv_into")
    sock_sendall = _refuse("sock_sendall")
    sock_sendfile = _refuse("sock_sendfile")
    start_tls = _refuse("start_tls")
    subprocess_exec = _refuse("subprocess_exec")
    subprocess_shell = _refuse("subprocess_shell")
    get_exception_handler = _refuse("get_exception_handler")
    set_exception_handler = _refuse("set_exception_handler")
    get_task_factory = _refuse("get_task_factory")
    set_task_factory = _refuse("set_task_factory")
    sock_sendto = _refuse("sock_sendto")
    sock_recvfrom = _refuse("sock_recvfrom")
    sock_recvfrom_into = _refuse("sock_recvfrom_into")
    set_default_executor = _refuse("set_default_executor")
