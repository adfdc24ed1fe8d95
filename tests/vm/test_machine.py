"""A real machine: power, screen, keyboard, serial port, and what ends a wait."""

import psutil
import pytest
from conftest import RESCUE

from tailstest.core.errors import CheckFailed, InfrastructureError, MachineStopped, UsageError
from tailstest.core.events import Noted
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.power import STARTS
from tailstest.machine.profile import load_profiles
from tailstest.media.dvd import Dvd
from tailstest.media.image_file import digest_of
from tailstest.media.usb_stick import UsbStick

pytestmark = pytest.mark.vm


def qemu_of(bench):
    marker = str(bench.hypervisor.root)
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if "qemu" in (process.info["name"] or "")
        and any(marker in word for word in process.info["cmdline"] or [])
    ]


def test_it_boots_shows_its_menu_and_leaves_nothing_behind(make, bench):
    machine = make(memory_mib=256)
    machine.screen.wait_text("Microsoft Windows")
    assert machine.state is MachineState.RUNNING
    assert qemu_of(bench)
    machine.close()
    assert qemu_of(bench) == []
    assert machine.screen.last_frame is not None


def test_it_can_be_paused_reset_and_switched_off_and_on(make):
    machine = make(memory_mib=256)
    machine.screen.wait_text("automatically")
    machine.pause()
    still = machine.screen.frame()
    with pytest.raises(CheckFailed):
        machine.screen.wait_change(since=still, within=3)
    machine.resume()
    machine.screen.wait_change(since=still)
    machine.reset()
    machine.screen.wait_text("automatically")
    for _ in range(3):
        machine.power_off()
        assert machine.state is MachineState.OFF
        machine.power_on()
    with pytest.raises(UsageError, match="on already"):
        machine.power_on()
    machine.screen.wait_text("automatically")
    machine.power_off()
    with pytest.raises(UsageError, match="switched off"):
        machine.screen.wait_text("never to be seen", within=600)


def test_one_that_switched_itself_off_has_let_go_of_its_media(make, bench):
    machine = make(memory_mib=64)
    machine.screen.wait_text("GNU/Linux")
    machine.keyboard.press("c")
    machine.screen.wait_text("grub>")
    machine.keyboard.type("halt\n")
    machine.wait_off()
    assert qemu_of(bench) == []


def test_its_state_is_known_at_once_when_it_was_paused_and_runs_on(make):
    machine = make(memory_mib=64)
    for _ in range(100):
        machine.pause()
        assert machine.state is MachineState.PAUSED
        machine.resume()
        assert machine.state is MachineState.RUNNING


def test_what_the_guest_does_to_itself_ends_a_wait_at_once(rescue_shell):
    machine = rescue_shell
    machine.keyboard.type("reboot\n")
    with pytest.raises(MachineStopped, match="restarted by itself"):
        machine.screen.wait_text("never to be seen", within=600)
    machine.screen.wait_text("GNU/Linux")
    machine.keyboard.press("c")
    machine.screen.wait_text("grub>")
    machine.keyboard.type("halt\n")
    with pytest.raises(MachineStopped, match="switched itself off"):
        machine.screen.wait_text("never to be seen", within=600)
    assert machine.state is MachineState.SHUT_DOWN
    machine.power_on()
    machine.screen.wait_text("GNU/Linux")
    assert machine.state is MachineState.RUNNING


def test_what_was_printed_before_a_restart_counts_no_more(rescue_shell):
    machine = rescue_shell
    machine.reset()
    machine.screen.wait_text("GNU/Linux")
    with pytest.raises(CheckFailed, match="did not"):
        machine.wait_reset(within=0)  # the reset button and what the firmware adds are no restart
    with pytest.raises(CheckFailed, match="serial console"):
        machine.wait_serial("grub>", within=0)


def test_a_killed_qemu_ends_a_wait_as_trouble_of_the_host(make, bench):
    machine = make(memory_mib=256)
    machine.screen.wait_text("GNU/Linux")
    (process,) = qemu_of(bench)
    process.kill()
    with pytest.raises(InfrastructureError, match="gone"):
        machine.screen.wait_text("never to be seen", within=600)


def qemu_that_dies(folder, times):
    """Return a QEMU that is killed when it starts a machine, that many times."""
    left = folder / "left"
    left.write_text("x" * times)
    emulator = folder / "qemu-system-x86_64"
    emulator.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *guest=tailstest*) if [ -s {left} ]; then\n'
        f"  truncate -s -1 {left}; kill -9 $$\n"
        'fi;; esac\nexec /usr/bin/qemu-system-x86_64 "$@"\n'
    )
    emulator.chmod(0o755)
    return emulator


def test_a_qemu_that_dies_without_a_word_at_its_start_is_started_once_more(
    make, bench, tmp_path, monkeypatch
):
    monkeypatch.setattr(bench.hypervisor, "emulator", qemu_that_dies(tmp_path, times=1))
    said = []
    bench.events.subscribe(said.append)
    machine = make(memory_mib=64)
    machine.screen.wait_text("GNU/Linux")
    assert any(isinstance(one, Noted) and "without a word" in one.text for one in said)


def test_a_qemu_that_always_dies_at_its_start_is_trouble_of_the_host(
    make, bench, tmp_path, monkeypatch
):
    monkeypatch.setattr(bench.hypervisor, "emulator", qemu_that_dies(tmp_path, times=9))
    with pytest.raises(InfrastructureError, match="cannot be started"):
        make(memory_mib=64)
    assert (tmp_path / "left").read_text() == "x" * (9 - STARTS)


@pytest.mark.long(1)
def test_a_thousand_characters_are_typed_without_a_loss(rescue_shell):
    text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+:,/=%@"
    lines = [(text[number:] + text[:number])[:70] for number in range(15)]
    assert sum(map(len, lines)) >= 1000
    for line in lines:
        rescue_shell.keyboard.type(f"echo '{line}'\n")
        rescue_shell.wait_serial(f"\r{line}\n")


def test_a_stick_boots_and_the_image_is_never_written(make, bench):
    before = digest_of(RESCUE)
    stick = UsbStick.of_image(RESCUE, bench.media.path("stick", ".qcow2"))
    machine = make(stick.disk(), memory_mib=256)
    machine.screen.wait_text("GNU/Linux")
    assert digest_of(RESCUE) == before


def test_uefi_boots_with_variables_of_its_own(make):
    from tailstest.core.paths import bundled

    image = load_profiles([bundled("images")])["debian-installer-text"].image_path()
    machine = make(Dvd(image).disk(), firmware="uefi", memory_mib=512)
    machine.screen.wait_text("Rescue mode")
    machine.keyboard.press("c")
    machine.screen.wait_text("grub>")
    machine.keyboard.type("echo $grub_platform\n")
    machine.screen.wait_text("efi")


def test_a_kernel_panic_on_the_serial_port_ends_a_wait(rescue_shell):
    rescue_shell.keyboard.type("echo 'Kernel panic - not syncing: test'\n")
    with pytest.raises(CheckFailed, match="Kernel panic"):
        rescue_shell.screen.wait_text("never to be seen", within=600)
