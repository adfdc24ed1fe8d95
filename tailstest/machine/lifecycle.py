"""What libvirt and QEMU tell about a machine while it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tailstest.core.errors import CheckFailed, InfrastructureError, MachineStopped
from tailstest.core.events import Events, MachineChanged


class MachineState(StrEnum):
    """The states of a machine that a scenario can tell apart."""

    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    SHUT_DOWN = "shut down"  # what runs in it switched it off
    CRASHED = "crashed"  # what runs in it panicked
    GONE = "gone"  # QEMU itself ended without being asked to


@dataclass(frozen=True)
class _Resets:
    seen: int = 0
    taken: int = 0


class Lifecycle:
    """Follows one domain through libvirt's events.

    The callbacks come from libvirt's event thread; everything here is guarded by one lock.

    Args:
        libvirt: the module.
        domain: the `virDomain` to follow.
        events: told about every change.
        name: of the machine, for the events.
    """

    def __init__(self, libvirt: Any, domain: Any, events: Events, name: str) -> None:
        self._libvirt = libvirt
        self._connection = domain.connect()
        self._events = events
        self._name = name
        self._lock = threading.Lock()
        self._state = MachineState.OFF
        self._detail = ""
        self._stop_expected = False
        self._resets = _Resets()
        register = self._connection.domainEventRegisterAny
        self._callbacks = [
            register(domain, event, callback, None)
            for event, callback in (
                (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
                (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._on_reboot),
                (libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG, self._on_watchdog),
                (libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, self._on_io_error),
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

    def started(self) -> None:
        """Note that we started the machine."""
        with self._lock:
            self._stop_expected = False
        self._change(MachineState.RUNNING, "started")

    def expect_stop(self) -> None:
        """Note that the next stop is our own doing, or what a step waits for."""
        with self._lock:
            self._stop_expected = True

    def switched_off(self) -> None:
        """Note that we cut the power."""
        self._change(MachineState.OFF, "power cut")

    def forgive_resets(self) -> None:
        """Forget resets seen so far: they were ours, or were waited for."""
        with self._lock:
            self._resets = _Resets(self._resets.seen, self._resets.seen)

    def take_reset(self) -> bool:
        """Tell whether the guest reset itself since the last call; counts it as expected."""
        with self._lock:
            pending = self._resets.seen > self._resets.taken
            self._resets = _Resets(self._resets.seen, self._resets.seen)
            return pending

    def check(self) -> None:
        """Raise if waiting for anything from this machine has become pointless.

        Raises:
            MachineStopped: the guest crashed or switched itself off without a step expecting it.
            InfrastructureError: QEMU ended by itself.
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
                f"the machine switched itself off while something was waited for ({detail})",
                hint='if that is right, use the step "Then the machine switches itself off"',
            )

    def check_running(self) -> None:
        """Raise unless the machine runs.

        Raises:
            CheckFailed, InfrastructureError: says which state it is in instead.
        """
        self.check()
        if self.state is not MachineState.RUNNING:
            raise CheckFailed(f"expected a running machine, but it is {self.state}")

    def close(self) -> None:
        """Stop listening; may be called twice."""
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                self._connection.domainEventDeregisterAny(callback)
            except self._libvirt.libvirtError:
                continue  # the connection is closed, and its callbacks with it

    def _change(self, state: MachineState, detail: str) -> None:
        with self._lock:
            if state is self._state and detail == self._detail:
                return
            self._state, self._detail = state, detail
        self._events.publish(MachineChanged(machine=self._name, state=state.value, detail=detail))

    def _on_lifecycle(
        self, _connection: Any, _domain: Any, event: int, detail: int, _opaque: Any
    ) -> None:
        virt = self._libvirt
        if event == virt.VIR_DOMAIN_EVENT_STOPPED:
            self._on_stopped(detail)
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
            expected, state = self._stop_expected, self._state
        if state in {MachineState.CRASHED, MachineState.SHUT_DOWN, MachineState.OFF}:
            return
        if detail == virt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
            self._change(MachineState.SHUT_DOWN, "by the guest")
        elif detail == virt.VIR_DOMAIN_EVENT_STOPPED_CRASHED:
            self._change(MachineState.CRASHED, "kernel panic reported by the guest")
        elif not expected:
            self._change(MachineState.GONE, "QEMU ended without being asked to")

    def _on_reboot(self, _connection: Any, _domain: Any, _opaque: Any) -> None:
        with self._lock:
            self._resets = _Resets(self._resets.seen + 1, self._resets.taken)
        self._events.publish(
            MachineChanged(machine=self._name, state="reset", detail="the machine was reset")
        )

    def _on_watchdog(self, _connection: Any, _domain: Any, _action: int, _opaque: Any) -> None:
        self._events.publish(
            MachineChanged(machine=self._name, state="watchdog", detail="the watchdog card fired")
        )

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
        # QEMU pauses a guest whose medium cannot be written on the host; that is the host's fault.
        self._change(MachineState.GONE, f"input/output error on {source}: {reason or 'unknown'}")
