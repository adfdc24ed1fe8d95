"""The machine: one libvirt domain as a tester sees it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError
from tailstest.core.text import printable
from tailstest.hypervisor.discard import discard_domain
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.input.keyboard import Keyboard
from tailstest.input.layout import Layout
from tailstest.input.pace import Pace
from tailstest.input.pointer import Pointer
from tailstest.machine.bench import Bench
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.display import DomainDisplay
from tailstest.machine.lifecycle import Lifecycle, MachineState
from tailstest.machine.monitor_input import MonitorInput
from tailstest.machine.serial_log import SerialLog
from tailstest.machine.tester import Tester
from tailstest.screen.screen import Screen

#: Texts on the serial console after which waiting for anything else is pointless.
FAILURE_TEXTS = ("Kernel panic - not syncing", "Unable to mount root fs")

#: Characters of the serial console that an error message quotes.
QUOTED_TAIL = 600


class Machine:
    """One virtual machine, from its first power-on until `close`.

    Args:
        name: for people; unique within the run.
        definition: its parts.
        disk: the medium it boots from.
        bench: what all machines of the run share.
        viewer: give it a VNC socket, so that a person can watch and help.
    """

    def __init__(
        self,
        name: str,
        definition: MachineDefinition,
        disk: DiskValues,
        bench: Bench,
        *,
        viewer: bool = False,
    ) -> None:
        self.name = name
        self.definition = definition
        self._bench = bench
        self._libvirt = bench.hypervisor.libvirt
        self._folder = bench.machine_folder()
        self.viewer_socket = self._folder / "vnc" if viewer else None
        self.serial = SerialLog(
            bench.evidence.path("logs", f"serial-{name}", ".log"), bench.settings.serial_limit
        )
        self.xml = bench.domain_values(
            name,
            definition,
            disk,
            folder=self._folder,
            serial_log=self.serial.path,
            viewer_socket=self.viewer_socket,
        ).render()
        self._domain = self._define()
        self.lifecycle = Lifecycle(self._libvirt, self._domain, bench.events, name)
        self._display = DomainDisplay(self._libvirt, self._domain)
        self.screen = Screen(
            self._display,
            bench.library,
            events=bench.events,
            evidence=bench.evidence,
            deadline_scale=bench.host.deadline_scale,
            default_deadline=bench.settings.default_deadline,
        )
        self.screen.watches.append(self.check)
        sink = MonitorInput(self._libvirt, self._domain, self._screen_size)
        self.keyboard = Keyboard(
            sink,
            Layout.named(bench.settings.keyboard_layout),
            Pace.from_milliseconds(bench.settings.key_hold_ms, bench.settings.key_gap_ms),
            bench.events,
        )
        self.pointer = Pointer(sink, self._screen_size)
        self.tester = Tester(
            self.screen,
            self.keyboard,
            self.pointer,
            deadline_scale=bench.host.deadline_scale,
            default_deadline=bench.settings.default_deadline,
        )
        self._is_closed = False
        self._keep_definition()

    @property
    def deadline_scale(self) -> float:
        """Factor of the host's slowness on every deadline."""
        return self._bench.host.deadline_scale

    @property
    def default_deadline(self) -> float:
        """Seconds a wait may take when nobody says, before scaling."""
        return self._bench.settings.default_deadline

    @property
    def state(self) -> MachineState:
        """What the machine is doing."""
        return self.lifecycle.state

    def power_on(self) -> None:
        """Switch the machine on.

        Raises:
            InfrastructureError: QEMU cannot start it; says why.
        """
        self.lifecycle.forgive_resets()
        try:
            self._domain.create()
        except self._libvirt.libvirtError as error:
            raise InfrastructureError(
                f"the machine {self.name} cannot be started: {error.get_error_message()}",
                hint="is there enough memory on the host? `tailstest host` shows what is free",
            ) from error
        self.lifecycle.started()

    def power_off(self) -> None:
        """Cut the power, as pulling the plug would; nothing happens when it is off already."""
        self.lifecycle.expect_stop()
        if self._is_active():
            self._do("switched off", self._domain.destroy)
        self.lifecycle.switched_off()

    def press_power_button(self) -> None:
        """Press the power button shortly; what runs in the machine may obey or not."""
        self.lifecycle.expect_stop()
        self._do("asked to shut down", self._domain.shutdown)

    def reset(self) -> None:
        """Press the reset button."""
        self._do("reset", lambda: self._domain.reset(0))
        self.lifecycle.forgive_resets()

    def pause(self) -> None:
        """Stop the processors; the screen keeps its picture."""
        self._do("paused", self._domain.suspend)

    def resume(self) -> None:
        """Let the processors run on."""
        self._do("resumed", self._domain.resume)

    def check(self) -> None:
        """Raise if it is pointless to wait for anything from this machine; a watch.

        Raises:
            MachineStopped: the guest crashed, switched itself off or printed a kernel panic.
            InfrastructureError: QEMU ended by itself.
        """
        self.lifecycle.check()
        for text in FAILURE_TEXTS:
            if self.serial.contains(text):
                raise CheckFailed(
                    f"the serial console shows a failure: {self._serial_line(text)}",
                    hint=f"the whole console is in {self.serial.path}",
                )

    def check_running(self) -> None:
        """Raise unless the machine runs.

        Raises:
            CheckFailed, InfrastructureError: says which state it is in instead.
        """
        self.check()
        self.lifecycle.check_running()

    def wait_off(self, *, within: float | None = None) -> None:
        """Wait until the machine is off, because what runs in it said so.

        Args:
            within: seconds before scaling; the default deadline if None.

        Raises:
            CheckFailed: it still ran at the deadline, or it crashed instead.
        """
        self.lifecycle.expect_stop()
        self._wait(
            lambda: True if self.state is MachineState.SHUT_DOWN else None,
            within,
            lambda: f"the machine to switch itself off, but it is {self.state}",
        )

    def wait_reset(self, *, within: float | None = None) -> None:
        """Wait until what runs in the machine makes it restart.

        Raises:
            CheckFailed: it did not restart by the deadline.
        """
        self._wait(
            lambda: True if self.lifecycle.take_reset() else None,
            within,
            lambda: "the machine to restart, but it did not",
        )

    def wait_serial(self, text: str, *, within: float | None = None) -> None:
        """Wait until `text` was printed on the first serial port.

        Raises:
            CheckFailed: quotes the end of what was printed instead.
        """
        self._wait(
            lambda: True if self.serial.contains(text) else None,
            within,
            lambda: (
                f'"{text}" on the serial console; its end reads:\n'
                f"{printable(self.serial.text())[-QUOTED_TAIL:] or '(nothing was printed)'}\n"
                f"All of it: {self.serial.path}"
            ),
        )

    def close(self) -> None:
        """Switch the machine off and remove it; keeps its evidence. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self.lifecycle.expect_stop()
        self.serial.read_new()
        self.lifecycle.close()
        discard_domain(self._libvirt, self._domain)
        self.screen.close()
        self._keep_serial()
        shutil.rmtree(self._folder, ignore_errors=True)

    def describe(self) -> dict[str, Any]:
        """Return what the report says about this machine."""
        return {
            **self.definition.model_dump(),
            "accelerator": self._bench.host.accelerator,
            "cpu_model": self._bench.host.cpu_model,
        }

    def _define(self) -> Any:
        try:
            return self._bench.hypervisor.connection.defineXML(self.xml)
        except self._libvirt.libvirtError as error:
            raise InfrastructureError(
                f"libvirt refuses the machine {self.name}: {error.get_error_message()}",
                hint="`tailstest host` shows what this host offers",
            ) from error

    def _do(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except self._libvirt.libvirtError as error:
            self.lifecycle.check()
            raise InfrastructureError(
                f"the machine {self.name} cannot be {what}: {error.get_error_message()}"
            ) from error

    def _is_active(self) -> bool:
        try:
            return bool(self._domain.isActive())
        except self._libvirt.libvirtError:
            return False

    def _wait(
        self, look: Callable[[], bool | None], within: float | None, expected: Callable[[], str]
    ) -> None:
        seconds = self._bench.settings.default_deadline if within is None else within
        deadline = Deadline.after(seconds, scale=self._bench.host.deadline_scale)
        if poll(look, deadline, watches=self.screen.watches) is None:
            raise CheckFailed(f"waited {deadline.elapsed:.0f} s for {expected()}")

    def _screen_size(self) -> tuple[int, int]:
        frame = self.screen.last_frame or self.screen.frame()
        return frame.width, frame.height

    def _serial_line(self, text: str) -> str:
        lines = (line for line in self.serial.text().splitlines() if text in line)
        return printable(next(lines, text))[:QUOTED_TAIL]

    def _keep_definition(self) -> None:
        path = self._bench.evidence.path("logs", f"domain-{self.name}", ".xml")
        path.write_text(self.xml, encoding="utf-8")
        self._bench.keep("xml", path, f"Definition of the machine {self.name}")

    def _keep_serial(self) -> None:
        text = self.serial.text()
        if not text:
            self.serial.path.unlink(missing_ok=True)
            return
        if self.serial.dropped:
            self.serial.path.write_text(text, encoding="utf-8")
        self._bench.keep(
            "serial",
            self.serial.path,
            f"Serial console of {self.name}",
            truncated=self.serial.dropped > 0,
        )
