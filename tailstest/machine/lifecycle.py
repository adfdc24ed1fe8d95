"""What libvirt and QEMU tell about a machine while it runs."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from tailstest.core.errors import CheckFailed, InfrastructureError, MachineStopped, UsageError
from tailstest.core.events import Events, MachineChanged
from tailstest.core.text import printable
from tailstest.machine.restarts import Restarts


class MachineState(StrEnum):
    """The states of a machine that a scenario can tell apart."""

    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    SHUT_DOWN = "shut down"  # what runs in it switched it off
    CRASHED = "crashed"  # what runs in it panicked
    GONE = "gone"  # QEMU itself ended without being asked to


class Lifecycle:
    """Follows one domain through the events of libvirt and QEMU.

    The callbacks come from libvirt's event thread; everything here is guarded by one lock.

    Args:
        libvirt: the module.
        monitor: the module libvirt_qemu; QEMU's own event says who reset the machine.
        domain: the `virDomain` to follow.
        events: told about every change.
        name: of the machine, for the events.
        echo_limit: see `Restarts`.
        is_bad: tells whether the medium in a file shall have errors.
        on_restart: called when the guest restarts the machine, in libvirt's event thread.
    """

    def __init__(
        self,
        libvirt: Any,
        monitor: Any,
        domain: Any,
        events: Events,
        name: str,
        *,
        echo_limit: float = 0.0,
        on_restart: Callable[[], None] = lambda: None,
        is_bad: Callable[[str], bool] = lambda _file: False,
    ) -> None:
        self._libvirt = libvirt
        self._monitor = monitor
        self._connection = domain.connect()
        self._events = events
        self._name = name
        self._on_restart = on_restart
        self._is_bad = is_bad
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._heard: Counter[int] = Counter()
        self._state = MachineState.OFF
        self._detail = ""
        self._stopped = threading.Event()
        self._stopped.set()
        self._ends = 0
        self._stop_expected = False
        self._restart_expected = False
        self._restarts = Restarts(echo_limit)
        self._watchdog_fired = False
        self._is_saving = False
        self._is_cut = False
        register = self._connection.domainEventRegisterAny
        self._callbacks = [
            register(domain, event, callback, None)
            for event, callback in (
                (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
                (libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG, self._on_watchdog),
                (libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, self._on_io_error),
            )
        ]
        self._monitor_callbacks = [
            monitor.qemuMonitorEventRegister(
                self._connection, domain, "RESET", self._on_reset, None
            )
        ]

    @property
    def state(self) -> MachineState:
        """The state that was reported last."""
        with self._lock:
            return self._state

    @property
    def detail(self) -> str:
        """Why the machine is in that state, as libvirt or QEMU put it."""
        with self._lock:
            return self._detail

    @property
    def is_settled(self) -> bool:
        """Whether a restart or alarm has been told to whoever waited, and nothing belongs to it.

        Asking takes nothing away from who is to be told.
        """
        with self._lock:
            return not self._watchdog_fired and self._restarts.is_over(time.time())

    @contextmanager
    def starting(self, how: str = "started") -> Iterator[None]:
        """In it we start the machine, or let a saved one run on; at its end it runs.

        If QEMU ended meanwhile, it is gone, and whoever asks next is told so.

        Args:
            how: what the report says.
        """
        with self._lock:
            before = self._ends
            # What was before does not count. What comes meanwhile does: a saved machine may have
            # been about to restart, and does so before libvirt says that it runs.
            self._watchdog_fired = False
            self._restarts.take()
        yield
        with self._lock:
            state, detail = MachineState.RUNNING, how
            if self._ends == before:
                self._stopped.clear()
            else:
                state, detail = MachineState.GONE, "QEMU ended while the machine was started"
            self._state, self._detail = state, detail
        self._tell(state.value, detail)

    def switched_off(self) -> None:
        """Note that we cut the power."""
        self._change(MachineState.OFF, "power cut")

    def wait_stopped(self, seconds: float) -> bool:
        """Wait until libvirt has told that the last start is over; tell whether it did.

        Before that, what it tells could be taken for news of the next start.
        """
        return self._stopped.wait(seconds)

    @contextmanager
    def expecting_stop(self) -> Iterator[None]:
        """Meanwhile a machine that is switched off, by us or by what runs in it, is no trouble."""
        with self._lock:
            self._stop_expected = True
        try:
            yield
        finally:
            with self._lock:
                self._stop_expected = False

    @contextmanager
    def expecting_restart(self) -> Iterator[None]:
        """Meanwhile `check` leaves restarts to `take_restart`."""
        with self._lock:
            self._restart_expected = True
        try:
            yield
        finally:
            with self._lock:
                self._restart_expected = False

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Meanwhile libvirt stops the machine and ends QEMU because it saves its memory."""
        with self._lock:
            self._is_saving = True
        try:
            yield
        finally:
            with self._lock:
                self._is_saving = False

    @contextmanager
    def power_cut(self) -> Iterator[None]:
        """Meanwhile we end QEMU ourselves, and libvirt does not know why it is gone."""
        with self._lock:
            self._is_cut = True
        try:
            yield
        finally:
            with self._lock:
                self._is_cut = False

    @contextmanager
    def pausing(self, seconds: float) -> Iterator[None]:
        """In it the processors are stopped; at its end libvirt has told so.

        Until then the machine would count as running, and afterwards, when it runs on, the late
        news would be taken for another pause.

        Args:
            seconds: limit, scaled.

        Raises:
            InfrastructureError: libvirt tells nothing.
        """
        with self._awaiting(self._libvirt.VIR_DOMAIN_EVENT_SUSPENDED, "paused", seconds):
            yield

    @contextmanager
    def resuming(self, seconds: float) -> Iterator[None]:
        """In it the processors are let run on; see `pausing`."""
        with self._awaiting(self._libvirt.VIR_DOMAIN_EVENT_RESUMED, "resumed", seconds):
            yield

    @contextmanager
    def _awaiting(self, event: int, what: str, seconds: float) -> Iterator[None]:
        ends = self._libvirt.VIR_DOMAIN_EVENT_STOPPED
        with self._lock:
            before, ended = self._heard[event], self._heard[ends]
        yield
        with self._news:
            told = self._news.wait_for(
                lambda: self._heard[event] > before or self._heard[ends] > ended, seconds
            )
        if not told:
            raise InfrastructureError(
                f"the virtual machine {self._name} was {what}, but libvirt does not tell so",
                hint="is the host overloaded, or libvirt's service stuck?",
            )

    def take_restart(self) -> bool:
        """Tell whether the guest restarted the machine since the last call."""
        with self._lock:
            return self._restarts.take()

    def check(self) -> None:
        """Raise if waiting for anything from this machine has become pointless.

        A restart or an alarm of the watchdog is told once: afterwards one may wait again.

        Raises:
            MachineStopped: the guest crashed, switched itself off or restarted without a step
                expecting it, or its watchdog fired.
            UsageError: a step switched the machine off.
            InfrastructureError: QEMU ended by itself.
        """
        self.check_on()
        with self._lock:
            fired, self._watchdog_fired = self._watchdog_fired, False
            restarted = not self._restart_expected and self._restarts.take()
        if fired:
            raise MachineStopped(
                "the watchdog fired: what runs in the machine hangs",
                hint="the last frame and the serial log show what it said",
            )
        if restarted:
            raise MachineStopped(
                "the machine restarted by itself while something was waited for",
                hint='if that is right, use the step "Then the machine restarts"',
            )

    def check_on(self) -> None:
        """Raise if the machine is off or dead.

        Raises:
            MachineStopped, UsageError, InfrastructureError: as `check`.
        """
        with self._lock:
            state, detail, expected = self._state, self._detail, self._stop_expected
        if state is MachineState.GONE:
            raise InfrastructureError(
                f"the virtual machine {self._name} is gone: {detail}",
                hint="see the log of the machine in the run's folder; is the host out of memory?",
            )
        if state is MachineState.CRASHED:
            raise MachineStopped(
                f"what runs in the machine crashed: {detail}",
                hint="the last frame and the serial log show what it said",
            )
        if state is MachineState.SHUT_DOWN and not expected:
            raise MachineStopped(
                f"the machine switched itself off ({detail}); nothing more will come from it",
                hint='if that is right, use the step "Then the machine switches itself off"',
            )
        if state is MachineState.OFF:
            raise UsageError(
                "the machine is switched off; nothing will come from it",
                hint='switch it on with the step "When I switch the machine on"',
            )

    def check_running(self) -> None:
        """Raise unless the machine runs.

        Raises:
            CheckFailed, InfrastructureError: says which state it is in instead.
        """
        if self.state is not MachineState.OFF:
            self.check()
        if self.state is not MachineState.RUNNING:
            raise CheckFailed(f"expected a running machine, but it is {self.state}")

    def close(self) -> None:
        """Stop listening; may be called twice."""
        callbacks, self._callbacks = self._callbacks, []
        ours, self._monitor_callbacks = self._monitor_callbacks, []
        try:
            for callback in callbacks:
                self._connection.domainEventDeregisterAny(callback)
            for callback in ours:
                self._monitor.qemuMonitorEventDeregister(self._connection, callback)
        except self._libvirt.libvirtError:
            return  # the connection is closed, and its callbacks with it

    def _change(self, state: MachineState, detail: str) -> None:
        with self._lock:
            if state is self._state and detail == self._detail:
                return
            self._state, self._detail = state, detail
        self._tell(state.value, detail)

    def _tell(self, state: str, detail: str) -> None:
        self._events.publish(MachineChanged(machine=self._name, state=state, detail=detail))

    def _on_lifecycle(
        self, _connection: Any, _domain: Any, event: int, detail: int, _opaque: Any
    ) -> None:
        self._follow(event, detail)
        with self._news:
            self._heard[event] += 1
            self._news.notify_all()

    def _follow(self, event: int, detail: int) -> None:
        virt = self._libvirt
        with self._lock:
            is_saving = self._is_saving
        if event == virt.VIR_DOMAIN_EVENT_STOPPED:
            self._on_stopped(detail)
        elif is_saving:
            return
        elif event == virt.VIR_DOMAIN_EVENT_SHUTDOWN:
            if detail != virt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST:
                self._change(MachineState.SHUT_DOWN, "by the guest")
        elif event == virt.VIR_DOMAIN_EVENT_CRASHED:
            self._change(MachineState.CRASHED, "kernel panic reported by the guest")
        elif event == virt.VIR_DOMAIN_EVENT_SUSPENDED:
            if self.state is MachineState.RUNNING:
                self._change(MachineState.PAUSED, "processors stopped")
        elif event == virt.VIR_DOMAIN_EVENT_RESUMED and self.state is MachineState.PAUSED:
            self._change(MachineState.RUNNING, "processors running")

    def _on_stopped(self, detail: int) -> None:
        virt = self._libvirt
        with self._lock:
            self._ends += 1
            expected, state, is_cut = self._stop_expected, self._state, self._is_cut
        if is_cut:
            self._change(MachineState.OFF, "power cut")
        elif state in {MachineState.RUNNING, MachineState.PAUSED}:
            if detail == virt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
                self._change(MachineState.SHUT_DOWN, "by the guest")
            elif detail == virt.VIR_DOMAIN_EVENT_STOPPED_CRASHED:
                self._change(MachineState.CRASHED, "kernel panic reported by the guest")
            elif detail == virt.VIR_DOMAIN_EVENT_STOPPED_SAVED:
                self._change(MachineState.OFF, "saved")
            elif detail != virt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
                self._change(MachineState.GONE, "QEMU ended without being asked to")
            elif not expected:
                self._change(MachineState.GONE, "somebody else ended it")
        self._stopped.set()

    def _on_reset(
        self,
        _connection: Any,
        _domain: Any,
        _event: str,
        seconds: int,
        microseconds: int,
        details: str | None,
        _opaque: Any,
    ) -> None:
        said = json.loads(details or "{}")
        by_guest = bool(said.get("guest"))
        with self._lock:
            restarted = self._restarts.saw(seconds + microseconds / 1e6, by_guest=by_guest)
        if restarted:
            # Whoever waits for a restart goes on with a machine that is ready for it.
            self._on_restart()
            with self._lock:
                self._restarts.count()
            self._tell("reset", "restarted by what runs in it")
        elif not by_guest:
            self._tell("reset", "the reset button")

    def _on_watchdog(self, _connection: Any, _domain: Any, _action: int, _opaque: Any) -> None:
        with self._lock:
            self._watchdog_fired = True
        self._tell("watchdog", "the watchdog card fired")

    def _on_io_error(
        self,
        _connection: Any,
        _domain: Any,
        source: str,
        _alias: str,
        _action: int,
        reason: str,
        _opaque: Any,
    ) -> None:
        if self._is_bad(source):
            return  # a scenario wants it so; what the guest makes of it is the guest's matter
        # QEMU pauses a guest whose medium cannot be written on the host; that is the host's fault.
        what = printable(f"input/output error on {source}: {reason or 'unknown'}")
        self._change(MachineState.GONE, what)
