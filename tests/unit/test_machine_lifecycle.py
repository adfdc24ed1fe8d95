"""What libvirt and QEMU tell about a machine: its state, what ends a wait, whose fault it is."""

import contextlib
import json
import threading
import time
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tailstest.core.errors import (
    CheckFailed,
    InfrastructureError,
    MachineStopped,
    SetupError,
    UsageError,
)
from tailstest.core.events import Events
from tailstest.machine.lifecycle import Lifecycle, MachineState
from tailstest.machine.machine import Machine
from tailstest.machine.power import Power
from tailstest.machine.restarts import Restarts
from tailstest.machine.saved_machine import MachineLost, MachineRefused


class FakeLibvirt:
    """libvirt's constants, and a domain whose callbacks the test calls."""

    VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0
    VIR_DOMAIN_EVENT_ID_WATCHDOG = 2
    VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON = 3
    VIR_DOMAIN_EVENT_SUSPENDED = 3
    VIR_DOMAIN_EVENT_RESUMED = 4
    VIR_DOMAIN_EVENT_STOPPED = 5
    VIR_DOMAIN_EVENT_SHUTDOWN = 6
    VIR_DOMAIN_EVENT_CRASHED = 8
    VIR_DOMAIN_EVENT_SHUTDOWN_GUEST = 1
    VIR_DOMAIN_EVENT_SHUTDOWN_HOST = 2
    VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN = 0
    VIR_DOMAIN_EVENT_STOPPED_DESTROYED = 1
    VIR_DOMAIN_EVENT_STOPPED_CRASHED = 2
    VIR_DOMAIN_EVENT_STOPPED_SAVED = 4
    VIR_DOMAIN_EVENT_STOPPED_FAILED = 5
    libvirtError = RuntimeError  # noqa: N815

    def __init__(self):
        self.callbacks = {}
        connection = SimpleNamespace(
            domainEventRegisterAny=lambda _d, event, call, _o: self.callbacks.update({event: call}),
            domainEventDeregisterAny=lambda _id: None,
        )
        self.domain = SimpleNamespace(connect=lambda: connection)
        self.monitor = SimpleNamespace(
            qemuMonitorEventRegister=lambda _c, _d, event, call, _o: self.callbacks.update(
                {event: call}
            ),
            qemuMonitorEventDeregister=lambda _c, _id: None,
        )

    def lifecycle(self, event, detail=0):
        self.callbacks[self.VIR_DOMAIN_EVENT_ID_LIFECYCLE](None, None, event, detail, None)

    def stopped(self, detail):
        self.lifecycle(self.VIR_DOMAIN_EVENT_STOPPED, detail)

    def reset(self, at, *, guest=True):
        said = json.dumps({"guest": guest, "reason": "as the test likes it"})
        self.callbacks["RESET"](None, None, "RESET", int(at), round(at % 1 * 1e6), said, None)

    def watchdog(self):
        self.callbacks[self.VIR_DOMAIN_EVENT_ID_WATCHDOG](None, None, 0, None)


def start(lifecycle):
    with lifecycle.starting():
        pass


@pytest.fixture
def fake():
    return FakeLibvirt()


@pytest.fixture
def told():
    return []


@pytest.fixture
def lifecycle(fake, told):
    events = Events()
    events.subscribe(told.append)
    followed = Lifecycle(fake, fake.monitor, fake.domain, events, "m", echo_limit=1.0)
    start(followed)
    return followed


def test_a_shutdown_by_the_guest_ends_a_wait_with_the_reason(fake, lifecycle):
    lifecycle.check()
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_SHUTDOWN, fake.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST)
    with pytest.raises(MachineStopped, match="switched itself off"):
        lifecycle.check()


def test_a_shutdown_that_is_waited_for_is_no_trouble_but_ends_what_comes_later(fake, lifecycle):
    with lifecycle.expecting_stop():
        fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
        lifecycle.check()
    assert lifecycle.state is MachineState.SHUT_DOWN
    with pytest.raises(MachineStopped):
        lifecycle.check()


def test_a_wait_for_a_shutdown_that_gave_up_leaves_no_permission_behind(fake, lifecycle):
    with pytest.raises(CheckFailed, match="gave up"), lifecycle.expecting_stop():
        raise CheckFailed("gave up")
    fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    with pytest.raises(MachineStopped):
        lifecycle.check()


def test_a_crashed_guest_is_the_products_fault_and_a_dead_qemu_the_hosts(fake, lifecycle):
    fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    with pytest.raises(InfrastructureError, match="gone"):
        lifecycle.check()
    start(lifecycle)
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_CRASHED)
    with pytest.raises(MachineStopped, match="crashed"):
        lifecycle.check()


def test_a_qemu_that_dies_while_a_shutdown_is_waited_for_is_the_hosts_fault(fake, lifecycle):
    with lifecycle.expecting_stop():
        fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        with pytest.raises(InfrastructureError, match="gone"):
            lifecycle.check()


@pytest.mark.parametrize("end", ["resumed", "stopped"])
def test_a_pause_is_over_when_libvirt_has_told_so_or_the_machine_ended(fake, lifecycle, end):
    def later(*news):
        thread = threading.Timer(0.1, lambda: fake.lifecycle(*news))
        thread.start()
        return thread

    with lifecycle.pausing(60):
        late = later(fake.VIR_DOMAIN_EVENT_SUSPENDED)
    assert lifecycle.state is MachineState.PAUSED
    late.join()
    with lifecycle.resuming(60):
        late = (
            later(fake.VIR_DOMAIN_EVENT_RESUMED)
            if end == "resumed"
            else later(fake.VIR_DOMAIN_EVENT_STOPPED, fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        )
    assert lifecycle.state is (MachineState.RUNNING if end == "resumed" else MachineState.GONE)
    late.join()


def test_a_machine_is_off_when_qemu_is_gone_and_not_when_it_begins_to_end(fake, lifecycle):
    power = Power(
        "m",
        libvirt=fake,
        domain=fake.domain,
        lifecycle=lifecycle,
        serial=None,
        events=Events(),
        deadline_scale=1.0,
        starting=lambda _domain: contextlib.nullcontext(),
    )
    machine = SimpleNamespace(
        lifecycle=lifecycle,
        state=MachineState.SHUT_DOWN,
        _power=power,
        _wait=lambda look, *_: look(),
    )
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_SHUTDOWN, fake.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST)
    end = threading.Timer(0.2, lambda: fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN))
    end.start()
    Machine.wait_off(machine)
    assert lifecycle.wait_stopped(0)
    end.join()


def test_a_pause_that_libvirt_never_tells_of_is_the_hosts_fault(lifecycle):
    with (
        pytest.raises(InfrastructureError, match="was paused, but libvirt does not tell"),
        lifecycle.pausing(0.05),
    ):
        pass


def test_a_machine_that_somebody_else_ended_is_gone(fake, lifecycle):
    fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
    with pytest.raises(InfrastructureError, match="somebody else"):
        lifecycle.check()


def test_cutting_the_power_is_complete_when_libvirt_has_told_so(fake, lifecycle):
    with lifecycle.expecting_stop():
        assert not lifecycle.wait_stopped(0)
        fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        assert lifecycle.wait_stopped(0)
    lifecycle.switched_off()
    assert lifecycle.state is MachineState.OFF
    with pytest.raises(UsageError, match="switched off"):
        lifecycle.check()


def test_a_restart_ends_a_wait_once(fake, lifecycle):
    fake.reset(100.0)
    with pytest.raises(MachineStopped, match="restarted"):
        lifecycle.check()
    lifecycle.check()


def test_a_restart_that_is_waited_for_is_counted_once(fake, lifecycle):
    assert not lifecycle.take_restart()
    with lifecycle.expecting_restart():
        fake.reset(100.0)
        lifecycle.check()
        assert lifecycle.take_restart()
    assert not lifecycle.take_restart()
    lifecycle.check()


def test_the_reset_button_is_no_restart_by_the_guest(fake, lifecycle, told):
    fake.reset(100.0, guest=False)
    fake.reset(100.04)  # SeaBIOS adds this one
    lifecycle.check()
    assert not lifecycle.take_restart()
    assert [event.state for event in told] == ["running", "reset"]


def test_a_restart_counts_when_what_must_be_done_at_one_is_done(fake, told):
    seen = []
    lifecycle = Lifecycle(
        fake,
        fake.monitor,
        fake.domain,
        Events(),
        "m",
        on_restart=lambda: seen.append(lifecycle.take_restart()),
    )
    start(lifecycle)
    fake.reset(100.0)
    assert seen == [False]
    assert lifecycle.take_restart()


def test_a_qemu_that_ends_while_the_machine_is_started_is_gone(fake, lifecycle, told):
    fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    with lifecycle.starting():
        fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    assert told[-1].state == "gone"
    assert lifecycle.wait_stopped(0)
    with pytest.raises(InfrastructureError, match="while the machine was started"):
        lifecycle.check()


def test_a_start_that_fails_changes_nothing(fake, lifecycle):
    fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    with pytest.raises(InfrastructureError, match="no memory"), lifecycle.starting():
        raise InfrastructureError("no memory")
    assert lifecycle.state is MachineState.SHUT_DOWN
    assert lifecycle.wait_stopped(0)


def test_a_start_forgets_what_was_before_it(fake, lifecycle):
    fake.reset(100.0)
    fake.watchdog()
    start(lifecycle)
    lifecycle.check()


def test_a_restart_while_a_saved_machine_is_let_run_on_is_not_lost(fake, lifecycle):
    lifecycle.switched_off()
    with lifecycle.starting("runs on from a checkpoint"):
        fake.reset(100.0)
        fake.watchdog()
    assert lifecycle.take_restart()
    with pytest.raises(MachineStopped, match="watchdog"):
        lifecycle.check()


def test_a_watchdogs_alarm_ends_a_wait_once(fake, lifecycle):
    fake.watchdog()
    with pytest.raises(MachineStopped, match="watchdog"):
        lifecycle.check()
    lifecycle.check()


def test_it_is_settled_when_everything_was_told_and_no_echo_can_come(fake, lifecycle):
    assert lifecycle.is_settled
    fake.reset(time.time() - 2)
    for _ in range(2):  # to look takes nothing away
        assert not lifecycle.is_settled
    assert lifecycle.take_restart()
    assert lifecycle.is_settled
    fake.reset(time.time())
    lifecycle.take_restart()
    assert not lifecycle.is_settled  # the echo limit is 1 s here
    start(lifecycle)
    fake.watchdog()
    assert not lifecycle.is_settled
    with pytest.raises(MachineStopped, match="watchdog"):
        lifecycle.check()


def test_without_an_echo_a_restart_is_over_when_it_was_told(fake):
    followed = Lifecycle(fake, fake.monitor, fake.domain, Events(), "m")
    start(followed)
    fake.reset(time.time())
    assert not followed.is_settled
    assert followed.take_restart()
    assert followed.is_settled


def saved(lifecycle, folder, save):
    """Save a machine of which only the lifecycle is real."""
    machine = object.__new__(Machine)
    machine.__dict__ |= {
        "name": "m",
        "lifecycle": lifecycle,
        "serial": MagicMock(),
        "_served": MagicMock(),
        "_port": MagicMock(),
        "_power": SimpleNamespace(save=save),
        "_card": None,
        "_bench": MagicMock(),
        "_libvirt": FakeLibvirt,
    }
    return machine.save(folder)


def test_a_machine_is_not_saved_while_a_restart_is_waiting_to_be_told(fake, lifecycle, tmp_path):
    fake.reset(time.time())
    with pytest.raises(CheckFailed, match="restarts"):
        saved(lifecycle, tmp_path, pytest.fail)
    assert lifecycle.take_restart()  # who waits for it is told


def test_a_machine_that_restarts_while_it_is_saved_is_lost(fake, lifecycle, tmp_path):
    with pytest.raises(MachineLost, match="restarted"):
        saved(lifecycle, tmp_path, lambda _memory: fake.reset(time.time()))


def test_a_machine_of_which_nothing_can_be_copied_is_lost(fake, lifecycle, tmp_path, monkeypatch):
    monkeypatch.setattr("tailstest.machine.machine.media_files", lambda _xml: ["/stick"])
    missing = MagicMock(side_effect=SetupError("cp is not installed"))
    monkeypatch.setattr("tailstest.machine.machine.copy_file", missing)
    with pytest.raises(MachineLost, match="cp is not installed"):
        saved(lifecycle, tmp_path, lambda _memory: None)


class Refusal(RuntimeError):
    """What libvirt raises."""

    def get_error_message(self):
        return "error while loading state"


def test_a_saved_machine_that_qemu_does_not_take_is_refused(fake, lifecycle, tmp_path):
    connection = SimpleNamespace(restoreFlags=MagicMock(side_effect=Refusal()))
    domain = SimpleNamespace(connect=lambda: connection)
    power = Power(
        "m",
        libvirt=fake,
        domain=domain,
        lifecycle=lifecycle,
        serial=None,
        events=Events(),
        deadline_scale=1.0,
        starting=lambda _domain: contextlib.nullcontext(),
    )
    with pytest.raises(MachineRefused, match="cannot run on: error while loading state"):
        power.wake(tmp_path / "memory", "<domain/>")


def test_echoes_belong_to_the_reset_before_them():
    restarts = Restarts(1.0)
    assert restarts.saw(10.0, by_guest=True)
    assert not restarts.saw(10.04, by_guest=True)
    assert not restarts.saw(20.0, by_guest=False)
    assert restarts.saw(21.2, by_guest=True), "too late for an echo"


def test_any_number_of_echoes_belongs_to_one_press_of_the_button():
    # As SeaBIOS did it once in twelve times on a busy host: two tries, of two resets each.
    restarts = Restarts(3.0)
    restarts.saw(10.0, by_guest=False)
    for after in (0.092, 0.096, 0.132, 0.137):
        assert not restarts.saw(10.0 + after, by_guest=True)


def test_a_system_that_restarts_without_end_is_seen():
    restarts = Restarts(3.0)
    restarts.saw(10.0, by_guest=False)
    assert [restarts.saw(10.0 + second, by_guest=True) for second in (1, 2, 3, 4)] == [
        False,
        False,
        True,  # an echo does not put the limit off
        False,
    ]


def test_without_a_bios_nothing_is_an_echo():
    restarts = Restarts(0.0)
    restarts.saw(10.0, by_guest=False)
    assert restarts.saw(10.01, by_guest=True)


def test_a_restart_is_taken_once():
    restarts = Restarts(1.0)
    assert not restarts.take()
    restarts.count()
    assert restarts.take()
    assert not restarts.take()


def test_checks_are_quick_enough_to_be_made_in_every_wait(fake, lifecycle):
    done = threading.Event()
    threading.Thread(target=lambda: [lifecycle.check() for _ in range(1000)] and done.set()).start()
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_SUSPENDED)
    fake.lifecycle(fake.VIR_DOMAIN_EVENT_RESUMED)
    assert done.wait(30)
    assert lifecycle.state is MachineState.RUNNING


def test_a_machine_that_is_off_is_not_running(lifecycle):
    lifecycle.switched_off()
    with pytest.raises(CheckFailed, match="off"):
        lifecycle.check_running()


def test_a_machine_that_is_saved_is_off_and_was_never_paused(fake, lifecycle, told):
    with lifecycle.saving():
        fake.lifecycle(fake.VIR_DOMAIN_EVENT_SUSPENDED)
        assert lifecycle.state is MachineState.RUNNING
        fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_SAVED)
    assert (lifecycle.state, lifecycle.detail) == (MachineState.OFF, "saved")
    assert "paused" not in [event.state for event in told]


def test_a_qemu_that_dies_while_it_saves_is_the_hosts_fault(fake, lifecycle):
    with lifecycle.saving():
        fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    with pytest.raises(InfrastructureError, match="gone"):
        lifecycle.check()


def test_power_that_fails_is_our_doing_and_no_trouble(fake, lifecycle):
    with lifecycle.power_cut():
        fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    assert lifecycle.state is MachineState.OFF
    assert lifecycle.detail == "power cut"
    start(lifecycle)
    fake.stopped(fake.VIR_DOMAIN_EVENT_STOPPED_FAILED)
    assert lifecycle.state is MachineState.GONE
