"""Parts of a machine that need no machine: serial log, key numbers, lifecycle, boot menu."""

import threading
from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed, InfrastructureError, MachineStopped
from tailstest.core.events import Events
from tailstest.core.geometry import Region
from tailstest.input.sinks import KeyStroke
from tailstest.machine.boot_menu import MARK, _mark_is_on_kernel_line
from tailstest.machine.lifecycle import Lifecycle, MachineState
from tailstest.machine.monitor_input import MonitorInput, key_number
from tailstest.machine.serial_log import SerialLog
from tailstest.screen.text_line import TextLine, Word


class FakeLibvirt:
    """libvirt's constants, and a domain whose callbacks the test calls."""

    VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0
    VIR_DOMAIN_EVENT_ID_REBOOT = 1
    VIR_DOMAIN_EVENT_ID_WATCHDOG = 2
    VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON = 3
    VIR_DOMAIN_EVENT_SUSPENDED = 3
    VIR_DOMAIN_EVENT_RESUMED = 4
    VIR_DOMAIN_EVENT_STOPPED = 5
    VIR_DOMAIN_EVENT_SHUTDOWN = 6
    VIR_DOMAIN_EVENT_CRASHED = 8
    VIR_DOMAIN_EVENT_SHUTDOWN_HOST = 2
    VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN = 0
    VIR_DOMAIN_EVENT_STOPPED_CRASHED = 2
    VIR_DOMAIN_EVENT_STOPPED_FAILED = 5
    libvirtError = RuntimeError  # noqa: N815

    def __init__(self):
        self.callbacks = {}
        connection = SimpleNamespace(
            domainEventRegisterAny=lambda _d, event, call, _o: self.callbacks.update({event: call}),
            domainEventDeregisterAny=lambda _id: None,
        )
        self.domain = SimpleNamespace(connect=lambda: connection)

    def lifecycle(self, event, detail=0):
        self.callbacks[self.VIR_DOMAIN_EVENT_ID_LIFECYCLE](None, None, event, detail, None)

    def reboot(self):
        self.callbacks[self.VIR_DOMAIN_EVENT_ID_REBOOT](None, None, None)


@pytest.fixture
def fake():
    return FakeLibvirt()


@pytest.fixture
def lifecycle(fake):
    followed = Lifecycle(fake, fake.domain, Events(), "m")
    followed.started()
    return followed


def test_a_shutdown_by_the_guest_ends_a_wait_with_the_reason(fake, lifecycle):
    lifecycle.check()
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_SHUTDOWN)
    with pytest.raises(MachineStopped, match="switched itself off"):
        lifecycle.check()


def test_an_expected_shutdown_is_no_trouble(fake, lifecycle):
    lifecycle.expect_stop()
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_STOPPED, fake.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    lifecycle.check()
    assert lifecycle.state is MachineState.SHUT_DOWN


def test_a_crashed_guest_is_the_products_fault_and_a_dead_qemu_the_hosts(fake, lifecycle):
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_STOPPED, fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    with pytest.raises(InfrastructureError, match="gone"):
        lifecycle.check()
    lifecycle.started()
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_CRASHED)
    with pytest.raises(MachineStopped, match="crashed"):
        lifecycle.check()


def test_resets_are_counted_once_and_can_be_forgiven(fake, lifecycle):
    assert not lifecycle.take_reset()
    fake.reboot()
    assert lifecycle.take_reset()
    assert not lifecycle.take_reset()
    fake.reboot()
    lifecycle.forgive_resets()
    assert not lifecycle.take_reset()


def test_the_serial_log_is_read_as_it_grows(tmp_path):
    log = SerialLog(tmp_path / "serial.log", 100_000)
    assert not log.contains("login:")
    with log.path.open("ab") as file:
        file.write(b"booting\r\nlog")
        file.flush()
        assert not log.contains("login:")
        file.write(b"in: ")
        file.flush()
        assert log.contains("login:")


def test_a_guest_that_floods_the_serial_port_cannot_fill_the_disk(tmp_path):
    log = SerialLog(tmp_path / "serial.log", 10_000)
    with log.path.open("ab", buffering=0) as file:
        file.write(b"first words\n")
        for number in range(100):
            file.write(b"x" * 1000 + b"%d\n" % number)
            log.read_new()
            assert log.path.stat().st_size <= 12_000
        file.write(b"last words\n")
        log.read_new()
    text = log.text()
    assert text.startswith("first words")
    assert text.endswith("last words\n")
    assert len(text) <= 10_000
    assert log.dropped > 80_000


def test_key_numbers_are_scan_codes_with_extended_keys_marked():
    assert key_number(30) == 0x1E  # a
    assert key_number(108) == 0xD0  # down
    with pytest.raises(InfrastructureError):
        key_number(700)


def test_releasing_a_key_of_a_machine_that_it_switched_off_is_no_trouble():
    domain = SimpleNamespace(isActive=lambda: False)
    sink = MonitorInput(FakeLibvirt, domain, lambda: (1024, 768))

    def refuse(_events):
        raise InfrastructureError("the machine takes no input")

    sink._send = refuse
    sink.send_keys([KeyStroke(28, False)])
    with pytest.raises(InfrastructureError):
        sink.send_keys([KeyStroke(28, True)])


def line(text, y):
    return TextLine((Word(text, Region(10, y, 8 * len(text), 16), 1.0),))


def test_the_mark_is_on_the_kernel_line_even_when_that_line_is_wrapped():
    mark = MARK.strip()
    head, tail = line("initrd /boot/initrd.gz", 96), line("setparams 'Install'", 32)
    kernel = line("linux /boot/linux quiet", 64)
    wrapped = line(f"splash {mark}", 80)
    assert _mark_is_on_kernel_line([head, wrapped, kernel, tail])
    assert not _mark_is_on_kernel_line([kernel, line(f"initrd /x {mark}", 80), tail])
    assert not _mark_is_on_kernel_line([line(f"setparams 'Install' {mark}", 32), kernel])
    assert not _mark_is_on_kernel_line([kernel, tail])


def test_checks_are_quick_enough_to_be_made_in_every_wait(fake, lifecycle):
    done = threading.Event()
    threading.Thread(target=lambda: [lifecycle.check() for _ in range(1000)] and done.set()).start()
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_SUSPENDED)
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_RESUMED)
    assert done.wait(30)
    assert lifecycle.state is MachineState.RUNNING


def test_a_machine_that_is_off_is_not_running(lifecycle):
    lifecycle.expect_stop()
    lifecycle.switched_off()
    with pytest.raises(CheckFailed, match="off"):
        lifecycle.check_running()
