"""The machine: one libvirt domain as a tester sees it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, TailstestError, UsageError
from tailstest.core.events import Noted
from tailstest.guest.channel import GuestChannel
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.input.keyboard import Keyboard
from tailstest.input.layout import Layout
from tailstest.input.pace import Pace
from tailstest.input.pointer import REST, Pointer
from tailstest.machine.bench import Bench
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.display import DomainDisplay
from tailstest.machine.drives import arranged
from tailstest.machine.guest_port import GuestPort
from tailstest.machine.lifecycle import Lifecycle, MachineState
from tailstest.machine.main_memory import MainMemory
from tailstest.machine.media_bay import MediaBay
from tailstest.machine.monitor_input import MonitorInput
from tailstest.machine.network_card import NetworkCard, keep_captures
from tailstest.machine.open_ports import open_ports
from tailstest.machine.power import Power
from tailstest.machine.qemu_monitor import QemuMonitor
from tailstest.machine.restarts import ECHO_LIMIT
from tailstest.machine.saved_machine import (
    MEMORY,
    VARIABLES,
    MachineAtRest,
    MachineLost,
    MachineRefused,
    SavedMachine,
    media_files,
)
from tailstest.machine.serial_log import SerialLog
from tailstest.machine.served_media import ServedMedia
from tailstest.machine.tester import Tester
from tailstest.media.file_copy import copy_file
from tailstest.media.pattern_search import SearchResult
from tailstest.media.usb_stick import follow_image
from tailstest.screen.screen import Screen


class Machine:
    """One virtual machine, from its first power-on until `close`.

    Args:
        name: for people; unique within the run.
        definition: its parts.
        disks: its drives and sticks, in the order in which it tries to boot from them; none for a
            saved machine, which has its own.
        bench: what all machines of the run share.
        viewer: give it a VNC socket, so that a person can watch and help.
        rest: a saved machine that this one is to be, instead of a new one with `disks`; let it
            run on with `wake`.
    """

    def __init__(
        self,
        name: str,
        definition: MachineDefinition,
        disks: Sequence[DiskValues],
        bench: Bench,
        *,
        viewer: bool = False,
        rest: MachineAtRest | None = None,
    ) -> None:
        self.name = name
        self.definition = definition
        self._bench = bench
        self._libvirt = bench.hypervisor.libvirt
        #: Of a saved machine: file of a medium then to its file now.
        self.moved_disks: Mapping[str, Path] = {}
        #: Whether it runs on from a saved state, and has not been started anew since.
        self.runs_on = False
        if rest is not None:
            self._leave_to_others(rest.facts)
        self._folder = bench.machine_folder()
        self.viewer_socket = self._folder / "vnc" if viewer else None
        self.serial = SerialLog(
            bench.evidence.path("logs", f"serial-{name}", ".log"), bench.settings.serial_limit
        )
        self._served = ServedMedia(self._folder, deadline_scale=bench.host.deadline_scale)
        self._port = GuestPort(
            definition,
            self._folder,
            deadline_scale=bench.host.deadline_scale,
            check=self.check,
            opened=self._opened_ports,
            console=self.serial.text_since_start,
        )
        self._card = self._network_card() if definition.network != "none" else None
        with ExitStack() as undo:
            undo.callback(self._served.close)
            self._domain = self._define(disks, rest)
            undo.pop_all()
        self._monitor = QemuMonitor(self._libvirt, bench.hypervisor.monitor, self._domain)
        self.lifecycle = self._followed()
        self._power = Power(
            name,
            libvirt=self._libvirt,
            domain=self._domain,
            lifecycle=self.lifecycle,
            serial=self.serial,
            events=bench.events,
            deadline_scale=self.deadline_scale,
            starting=bench.hypervisor.starting,
        )
        self.bay = MediaBay(
            self._libvirt,
            self._domain,
            self._served,
            monitor=self._monitor,
            chipset=definition.chipset,
            deadline_scale=self.deadline_scale,
        )
        self._display = DomainDisplay(
            self._libvirt,
            self._domain,
            monitor=self._monitor,
            dump=self._folder / "screen" if bench.hypervisor.root is not None else None,
        )
        self.screen = Screen(
            self._display,
            bench.library,
            events=bench.events,
            evidence=bench.evidence,
            deadline_scale=bench.host.deadline_scale,
            default_deadline=bench.settings.default_deadline,
        )
        self.screen.watches.append(self.check)
        sink = MonitorInput(
            self._libvirt, self._domain, self._monitor, self._screen_size, self.lifecycle.check_on
        )
        self.keyboard = Keyboard(
            sink,
            Layout.named(bench.settings.keyboard_layout),
            Pace.from_milliseconds(bench.settings.key_hold_ms, bench.settings.key_gap_ms),
            bench.events,
        )
        self.pointer = Pointer(sink, self._screen_size, rest=lambda: REST * self.deadline_scale)
        self.tester = Tester(
            self.screen,
            self.keyboard,
            self.pointer,
            deadline_scale=bench.host.deadline_scale,
            default_deadline=bench.settings.default_deadline,
        )
        self._memory = MainMemory(
            self._domain, definition.memory_mib << 20, is_searchable=definition.searchable_memory
        )
        self._is_closed = False
        self._keep_definition()
        self.serial.follow()

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

    @property
    def is_on(self) -> bool:
        """Whether QEMU is there: the machine runs, is paused, or has crashed."""
        return self.state in {MachineState.RUNNING, MachineState.PAUSED, MachineState.CRASHED}

    @property
    def guest(self) -> GuestChannel:
        """The inside: commands and files.

        Raises:
            UsageError: the image offers no way in.
        """
        return self._port.channel

    @property
    def guest_now(self) -> GuestChannel:
        """The inside as it is, for who keeps evidence: nothing is installed or waited for.

        Raises:
            GuestUnreachable: nobody has got inside since the system started.
        """
        return self._port.open_channel

    def reach_guest(self, deadline: Deadline) -> GuestChannel:
        """Return the inside, for who cannot wait as long as a start may take; see `guest`."""
        return self._port.get_in(deadline)

    @property
    def card(self) -> NetworkCard:
        """Its network card.

        Raises:
            UsageError: it has none.
        """
        if self._card is None:
            raise UsageError(
                f"the machine {self.name} has no network card",
                hint='describe it with "Given the machine is in the lab" before it starts',
            )
        return self._card

    @property
    def has_card(self) -> bool:
        """Whether it has a network card."""
        return self._card is not None

    @property
    def is_settled(self) -> bool:
        """Whether no step is left to be told of a restart or an alarm; see `Lifecycle`."""
        return self.lifecycle.is_settled

    def allow_boot(self, seconds: float) -> None:
        """Give each start these seconds, before scaling, until somebody inside answers."""
        self._port.boot_limit = seconds

    def power_on(self) -> None:
        """Switch the machine on.

        Raises:
            UsageError: it is on.
            InfrastructureError: QEMU cannot start it; says why.
        """
        self.runs_on = False
        self._port.forget()
        card = self._card
        if card is None:
            self._power.on()
        else:
            card.get_ready()
            card.forget_addresses()
            pulled = not card.is_plugged
            self._power.on(
                before=(lambda: card.plug(self._monitor, plugged=False)) if pulled else None
            )
        self._memory.hold()

    def plug_cable(self, *, plugged: bool) -> None:
        """Plug the network cable in or pull it out; a machine that is off has it so when it starts.

        Raises:
            UsageError: it has no network card.
        """
        if self.is_on:
            self.card.plug(self._monitor, plugged=plugged)
        else:
            self.card.is_plugged = plugged

    def save(self, folder: Path) -> SavedMachine:
        """Stop the machine and write all of it into a folder, so that it can run on later.

        Afterwards it is off, and good for nothing but `close`. One that cannot be saved runs on.

        Args:
            folder: empty; gets the memory, what was written to media, UEFI's variables.

        Raises:
            CheckFailed, MachineStopped, UsageError: it does not run, or it restarts. Nothing is
                taken away from a step that waits for that.
            MachineLost: it was stopped, but not all of it could be written, or it restarted in just
                that moment, and what runs on would not know.
            InfrastructureError: no space, or a device that cannot be saved.
        """
        self.lifecycle.check_on()
        self._check_parts()
        if self.state is not MachineState.RUNNING or not self.is_settled:
            what = "restarts" if self.state is MachineState.RUNNING else f"is {self.state}"
            raise CheckFailed(f"the machine {self.name} cannot be saved while it {what}")
        has_agent, is_installed = self._port.is_open, self._port.is_installed
        self._port.close()
        self._power.save(folder / MEMORY)
        if not self.is_settled:
            raise MachineLost(f"the machine {self.name} restarted while it was being saved")
        try:
            xml = self._bench.hypervisor.connection.saveImageGetXMLDesc(str(folder / MEMORY), 0)
            names = {}
            for number, source in enumerate(media_files(xml)):
                names[source] = f"disk-{number}.qcow2"
                copy_file(Path(source), folder / names[source])
            if (self._folder / VARIABLES).exists():
                copy_file(self._folder / VARIABLES, folder / VARIABLES)
            if self._card is not None:
                self._card.rest(folder)
        except (TailstestError, self._libvirt.libvirtError) as error:
            raise MachineLost(
                f"the machine {self.name} was stopped to be saved: {error}"
            ) from error
        return SavedMachine(
            definition=self.definition,
            xml=xml,
            folder=str(self._folder),
            serial_log=str(self.serial.path),
            capture=str(self._card.capture) if self._card else "",
            is_plugged=self._card.is_plugged if self._card else True,
            disks=names,
            faults=self._served.faults,
            serial_text=self.serial.text(),
            serial_begin=self.serial.begin,
            serial_restart=self.serial.restart,
            failure_texts=self.serial.failure_texts,
            has_agent=has_agent,
            is_installed=is_installed,
        )

    def wake(self, memory: Path) -> None:
        """Let a machine that was at rest run on.

        Args:
            memory: the file with its memory.

        Raises:
            MachineRefused: the file is damaged, or of another QEMU, or the host is busy.
            InfrastructureError: the lab cannot lay its wire.
        """
        if self._card is not None:
            self._card.get_ready()
        self.runs_on = True
        self._power.wake(memory, self.xml)
        self._memory.hold()
        if self._card is not None:
            self._card.renew(self._monitor)

    def power_off(self) -> None:
        """Cut the power, as pulling the plug would; nothing happens when it is off already."""
        self._power.off()

    def fail_power(self) -> None:
        """Let the power fail in this instant: what QEMU has not given to a medium is lost.

        The medium keeps what the guest has flushed; of what it wrote since then it may have lost
        whatever went to a place that had never been written to. What the medium lost is not the
        same each time, as with a real one.

        Raises:
            UsageError, MachineStopped: it is off already.
            InfrastructureError: QEMU cannot be ended.
        """
        self.lifecycle.check_on()
        self._power.fail()

    def frozen(self) -> AbstractContextManager[None]:
        """Return a context in which QEMU stands still with all that it has not done yet.

        The files of its media are then what a failing power would leave.
        """
        return self._power.frozen()

    def search_memory(self, needles: Mapping[str, bytes]) -> SearchResult:
        """Search its main memory: as it is, or as it was when the machine was switched off.

        Memory of the graphics card and other devices is not part of it. A place is an offset in the
        main memory; below 2 GiB that is the guest's physical address.

        Args:
            needles: name of a form to bytes; see `media.pattern_search`.

        Raises:
            UsageError: it was never switched on.
            InfrastructureError: the memory cannot be seen; says why.
        """
        if self.state is not MachineState.RUNNING:
            return self._memory.search(needles)
        self.pause()
        try:
            return self._memory.search(needles)
        finally:
            self.resume()

    def press_power_button(self) -> None:
        """Press the power button shortly; what runs in the machine may obey or not."""
        self._power.press_button()

    def reset(self) -> None:
        """Press the reset button."""
        self.runs_on = False
        self._port.forget()
        self._power.reset()
        if self._card is not None:
            self._card.forget_addresses()

    def pull_stick(self) -> None:
        """Pull out the USB stick it booted from, without a word to the system.

        Raises:
            UsageError: no USB stick is plugged in.
        """
        self.bay.pull_stick()

    def pause(self) -> None:
        """Stop the processors; the screen keeps its picture."""
        self._power.pause()

    def resume(self) -> None:
        """Let the processors run on."""
        self._power.resume()

    def check(self) -> None:
        """Raise if it is pointless to wait for anything from this machine; a watch.

        Raises:
            MachineStopped: the guest crashed, switched itself off or restarted.
            CheckFailed: it printed a kernel panic or another text that means failure.
            UsageError: a step switched it off.
            InfrastructureError: QEMU ended by itself.
        """
        self.lifecycle.check()
        self._check_parts()

    def _check_parts(self) -> None:
        self._served.check()
        self.serial.check()
        if self._card is not None:
            self._card.check()

    def check_running(self) -> None:
        """Raise unless the machine runs.

        Raises:
            CheckFailed, InfrastructureError: says which state it is in instead.
        """
        self.lifecycle.check_running()
        self.check()

    def wait_off(self, *, within: float | None = None) -> None:
        """Wait until the machine is off, because what runs in it said so; QEMU has ended then.

        Args:
            within: seconds before scaling; the default deadline if None.

        Raises:
            CheckFailed: it still ran at the deadline, or it crashed instead.
        """
        with self.lifecycle.expecting_stop():
            self._wait(
                lambda: True if self.state is MachineState.SHUT_DOWN else None,
                within,
                lambda: f"the machine to switch itself off, but it is {self.state}",
            )
            self._power.wait_ended()

    def wait_reset(self, *, within: float | None = None) -> None:
        """Wait until what runs in the machine makes it restart.

        From then on only what was printed on the serial port after the restart counts.

        Raises:
            CheckFailed: it did not restart by the deadline.
        """
        with self.lifecycle.expecting_restart():
            self._wait(
                lambda: True if self.lifecycle.take_restart() else None,
                within,
                lambda: "the machine to restart, but it did not",
            )
        self.serial.begin_at_restart()

    def register_failure_text(self, text: str) -> None:
        """Let every wait fail at once when `text` is printed on the first serial port."""
        self.serial.failure_texts.append(text)

    def wait_serial(self, text: str | re.Pattern[str], *, within: float | None = None) -> None:
        """Wait until `text` was printed on the first serial port, since the last start or reset.

        Args:
            text: as it stands there, or a pattern that is searched for.
            within: seconds before scaling; the default deadline if None.

        Raises:
            CheckFailed: quotes the end of what was printed instead.
        """
        self._wait(
            lambda: True if self.serial.contains(text) else None,
            within,
            lambda: (
                f'"{text if isinstance(text, str) else text.pattern}" on the serial console; '
                f"its end reads:\n{self.serial.tail()}\nAll of it: {self.serial.path}"
            ),
        )

    def close(self, *, keep_serial: bool = True) -> None:
        """Switch the machine off and remove it; keeps its evidence. May be called twice.

        Trouble with one part does not keep the others from being ended.

        Args:
            keep_serial: whether the console is evidence; not if a saved machine goes on with it.
        """
        if self._is_closed:
            return
        self._is_closed = True
        with ExitStack() as parts:  # done from last to first, whatever is raised between
            parts.callback(shutil.rmtree, self._folder, ignore_errors=True)
            parts.callback(self._keep_serial if keep_serial else self.serial.discard)
            if self._card is not None:
                parts.callback(keep_captures, self._card, self._bench, wanted=keep_serial)
                parts.callback(self._card.close)
            parts.callback(self.screen.close)
            parts.callback(self._served.close)
            parts.callback(self._memory.forget)
            parts.callback(self._power.discard)
            parts.callback(self.lifecycle.close)
            parts.callback(self._port.close)

    def describe(self) -> dict[str, Any]:
        """Return what the report says about this machine."""
        return {
            **self.definition.model_dump(),
            "accelerator": self._bench.host.accelerator,
            "cpu_model": self._bench.host.cpu_model,
        }

    def _leave_to_others(self, facts: SavedMachine) -> None:
        """Raise if another run is at it: to libvirt both are one, and closing ours would end it."""
        try:
            self._bench.hypervisor.connection.lookupByUUIDString(facts.uuid)
        except self._libvirt.libvirtError:
            return
        raise InfrastructureError("the saved machine runs already, in another run")

    def _xml_of(self, rest: MachineAtRest) -> str:
        """Take up what a machine at rest had: its media, its variables, its console."""
        facts = rest.facts
        if self._card is not None:
            self._card.resume(rest.folder, plugged=facts.is_plugged)
        disks: dict[str, Path] = {}
        for then, name in facts.disks.items():
            disks[then] = self._bench.media.path(self.name, ".qcow2")
            copy_file(rest.folder / name, disks[then])
            if then not in facts.faults:  # which have no image below them
                follow_image(disks[then], rest.images)
        self.moved_disks = disks
        if (rest.folder / VARIABLES).exists():
            copy_file(rest.folder / VARIABLES, self._folder / VARIABLES)
        self._served.resume(facts, disks)
        self.serial.resume(facts.serial_text, facts.serial_begin, facts.serial_restart)
        self.serial.failure_texts = list(facts.failure_texts)
        self._port.resume(has_agent=facts.has_agent, is_installed=facts.is_installed)
        return facts.xml_at(
            folder=self._folder,
            serial_log=self.serial.path,
            disks={**disks, **rest.images},
            run=self._bench.hypervisor.run_id,
            capture=self._card.capture if self._card else None,
        )

    def _network_card(self) -> NetworkCard:
        bench = self._bench
        return NetworkCard(
            self.name,
            self.definition,
            self._folder,
            bench.evidence.path("captures", self.name, ".pcap"),
            bench.labs,
            limit=bench.settings.capture_limit,
            warn=lambda text: bench.events.publish(Noted(text=text, level="warning")),
        )

    def _new_xml(self, disks: Sequence[DiskValues]) -> str:
        return self._bench.domain_values(
            self.name,
            self.definition,
            arranged(self._served.begin(disk) for disk in disks),
            folder=self._folder,
            serial_log=self.serial.path,
            serial_socket=self._port.serial_socket,
            viewer_socket=self.viewer_socket,
            channels=self._port.sockets,
            qemu_arguments=self._card.arguments if self._card else (),
        ).render()

    def _define(self, disks: Sequence[DiskValues], rest: MachineAtRest | None) -> Any:
        self.xml = self._xml_of(rest) if rest is not None else self._new_xml(disks)
        try:
            return self._bench.hypervisor.connection.defineXML(self.xml)
        except self._libvirt.libvirtError as error:
            kind = InfrastructureError if rest is None else MachineRefused
            raise kind(
                f"libvirt refuses the machine {self.name}: {error.get_error_message()}",
                hint="`tailstest host` shows what this host offers",
            ) from error

    def _followed(self) -> Lifecycle:
        # Only a BIOS starts itself once more after a reset.
        echo = ECHO_LIMIT * self.deadline_scale if self.definition.firmware == "bios" else 0.0
        return Lifecycle(
            self._libvirt,
            self._bench.hypervisor.monitor,
            self._domain,
            self._bench.events,
            self.name,
            echo_limit=echo,
            on_restart=self._restarted,
            is_bad=self._served.is_bad,
        )

    def _restarted(self) -> None:
        self.runs_on = False
        self.serial.note_restart()
        self._port.forget()
        if self._card is not None:
            self._card.forget_addresses()

    def _wait(
        self, look: Callable[[], bool | None], within: float | None, expected: Callable[[], str]
    ) -> None:
        seconds = self._bench.settings.default_deadline if within is None else within
        deadline = Deadline.after(seconds, scale=self._bench.host.deadline_scale)
        if poll(look, deadline, watches=self.screen.watches) is None:
            raise CheckFailed(f"waited {deadline.elapsed:.0f} s for {expected()}")

    def _opened_ports(self) -> set[str]:
        return open_ports(self._monitor, self._port.sockets)

    def _screen_size(self) -> tuple[int, int]:
        frame = self.screen.last_frame or self.screen.frame()
        return frame.width, frame.height

    def _keep_definition(self) -> None:
        path = self._bench.evidence.path("logs", f"domain-{self.name}", ".xml")
        path.write_text(self.xml, encoding="utf-8")
        self._bench.keep("xml", path, f"Definition of the machine {self.name}")

    def _keep_serial(self) -> None:
        if self.serial.close():
            title, is_cut = f"Serial console of {self.name}", self.serial.dropped > 0
            self._bench.keep("serial", self.serial.path, title, truncated=is_cut)
