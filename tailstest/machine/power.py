"""The switches of a machine: power, reset, pause."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil

from tailstest.core.deadline import pause
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Events, Noted
from tailstest.hypervisor.discard import discard_domain
from tailstest.hypervisor.qemu_process import frozen, qemu_process
from tailstest.machine.lifecycle import Lifecycle, MachineState
from tailstest.machine.saved_machine import MachineRefused
from tailstest.machine.serial_log import SerialLog

#: Seconds, before scaling, for libvirt to report that a machine ended; QEMU ends within two.
STOP_REPORT_LIMIT = 30.0

#: Seconds, before scaling, for libvirt to report that processors stopped or run on; usually
#: milliseconds.
PAUSE_REPORT_LIMIT = 30.0

#: How libvirt puts it that QEMU ended before it was ready, where QEMU itself said nothing: its last
#: words would follow (qemuProcessReportLogError in libvirt's src/qemu/qemu_process.c). The last one
#: comes when libvirt is still busy with an earlier end (beingDestroyed there).
ENDED_WITHOUT_A_WORD = (
    "process exited while connecting to monitor",
    "qemu unexpectedly closed the monitor",
    "domain is no longer running",
)

#: How often a machine is started before the host is to blame.
STARTS = 3

#: Seconds, before scaling, until it is started again. libvirt learns in a thread of its own that a
#: QEMU has ended, and kills whatever runs for that machine when it gets there, the next QEMU, too
#: (processMonitorEOFEvent in its src/qemu/qemu_driver.c); usually milliseconds.
START_PAUSE = 1.0


class Power:
    """Switches one domain.

    Args:
        name: of the machine, for messages.
        libvirt: the module.
        domain: the `virDomain`.
        lifecycle: follows the domain.
        serial: its console; what was printed before a start or reset does not count after it.
        events: told when the domain cannot be removed.
        deadline_scale: factor of the host's slowness on every deadline.
        starting: returns a context in which libvirt starts QEMU for a domain.
    """

    def __init__(
        self,
        name: str,
        *,
        libvirt: Any,
        domain: Any,
        lifecycle: Lifecycle,
        serial: SerialLog,
        events: Events,
        deadline_scale: float,
        starting: Callable[[Any], AbstractContextManager[None]],
    ) -> None:
        self._name = name
        self._libvirt = libvirt
        self._domain = domain
        self._lifecycle = lifecycle
        self._serial = serial
        self._events = events
        self._scale = deadline_scale
        self._starting = starting

    def on(self, *, before: Callable[[], None] | None = None) -> None:
        """Switch on; see `Machine.power_on`.

        Args:
            before: what is done when the machine is there, and before its processors run.
        """
        state = self._lifecycle.state
        if state in {MachineState.RUNNING, MachineState.PAUSED, MachineState.CRASHED}:
            raise UsageError(
                f"the machine is on already ({state})",
                hint='start it again with "When I reset the machine", or switch it off before',
            )
        self.wait_ended()
        self._serial.begin_anew()
        try:
            self._start(before, STARTS)
        except self._libvirt.libvirtError as error:
            raise InfrastructureError(
                f"the machine {self._name} cannot be started: {error.get_error_message()}",
                hint="is there enough memory on the host? `tailstest host` shows what is free",
            ) from error

    def _start(self, before: Callable[[], None] | None, times: int) -> None:
        try:
            with self._lifecycle.starting(), self._starting(self._domain):
                self._create(before)
        except self._libvirt.libvirtError as error:
            if times == 1 or not _ended_without_a_word(error):
                raise
            text = f"QEMU of {self._name} ended without a word when it was started; once more"
            self._events.publish(Noted(text=text, level="warning"))
            pause(START_PAUSE * self._scale)
            self._start(before, times - 1)

    def _create(self, before: Callable[[], None] | None) -> None:
        if before is None:
            self._domain.create()
            return
        self._domain.createWithFlags(self._libvirt.VIR_DOMAIN_START_PAUSED)
        before()
        with self._lifecycle.resuming(PAUSE_REPORT_LIMIT * self._scale):
            self._domain.resume()

    def save(self, memory: Path) -> None:
        """Stop the machine and write its memory into a file; if that fails, it runs on.

        Raises:
            InfrastructureError: no space, or a device that cannot be saved; says which.
        """
        with self._lifecycle.saving():
            self._do("saved", lambda: self._domain.save(str(memory)))
            self.wait_ended()

    def wake(self, memory: Path, xml: str) -> None:
        """Let a machine whose memory was saved run on.

        Raises:
            MachineRefused: the file is damaged, or of another QEMU, or the host is busy.
        """
        try:
            with (
                self._lifecycle.starting("runs on from a checkpoint"),
                self._starting(self._domain),
            ):
                self._domain.connect().restoreFlags(str(memory), xml, 0)
        except self._libvirt.libvirtError as error:
            raise MachineRefused(
                f"the saved machine {self._name} cannot run on: {error.get_error_message()}"
            ) from error

    def off(self) -> None:
        """Cut the power; see `Machine.power_off`."""
        with self._lifecycle.expecting_stop():
            try:
                if self._is_active():
                    self._do("switched off", self._domain.destroy)
            except InfrastructureError:
                if self._is_active():
                    raise
                # What runs in it switched it off in just this moment.
            self.wait_ended()
        self._lifecycle.switched_off()

    def fail(self) -> None:
        """End QEMU at once; see `Machine.fail_power`."""
        try:
            with self._lifecycle.power_cut():
                qemu_process(self._domain).kill()
                self.wait_ended()
        except psutil.Error as error:
            raise InfrastructureError(
                f"the machine {self._name} cannot be ended: {error}"
            ) from error

    def frozen(self) -> AbstractContextManager[None]:
        """Return a context in which QEMU stands still; see `Machine.frozen`."""
        return frozen(qemu_process(self._domain), deadline_scale=self._scale)

    def press_button(self) -> None:
        """Press the power button shortly."""
        self._do("asked to shut down", self._domain.shutdown)

    def reset(self) -> None:
        """Press the reset button."""
        self._serial.begin_anew()
        self._do("reset", lambda: self._domain.reset(0))

    def pause(self) -> None:
        """Stop the processors; nothing happens when they are stopped already."""
        if self._lifecycle.state is MachineState.PAUSED:
            return
        with self._lifecycle.pausing(PAUSE_REPORT_LIMIT * self._scale):
            self._do("paused", self._domain.suspend)

    def resume(self) -> None:
        """Let the processors run on; nothing happens when they run."""
        if self._lifecycle.state is MachineState.RUNNING:
            return
        with self._lifecycle.resuming(PAUSE_REPORT_LIMIT * self._scale):
            self._do("resumed", self._domain.resume)

    def discard(self) -> None:
        """Switch off and remove the domain; tells when that is not possible, but never raises."""
        problem = discard_domain(self._libvirt, self._domain)
        if problem:
            text = f"the machine {self._name} could not be removed: {problem}"
            self._events.publish(Noted(text=text, level="warning"))

    def wait_ended(self) -> None:
        """Wait until libvirt has told that QEMU is gone, which holds the media until then."""
        self._lifecycle.wait_stopped(STOP_REPORT_LIMIT * self._scale)

    def _do(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except self._libvirt.libvirtError as error:
            self._lifecycle.check_on()
            raise InfrastructureError(
                f"the machine {self._name} cannot be {what}: {error.get_error_message()}"
            ) from error

    def _is_active(self) -> bool:
        try:
            return bool(self._domain.isActive())
        except self._libvirt.libvirtError:
            return False


def _ended_without_a_word(error: Any) -> bool:
    """Tell whether QEMU died at its start before it did anything, and gave no reason.

    What it refuses, it says. A process that was killed or crashed does not, and has not touched
    guest or media yet.
    """
    return str(error.get_error_message()).rstrip(": ").endswith(ENDED_WITHOUT_A_WORD)
