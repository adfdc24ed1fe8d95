"""Parts of a machine that need no machine: key numbers, input, the boot menu's editor."""

from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed, InfrastructureError, MachineStopped, UsageError
from tailstest.core.geometry import Region
from tailstest.input.sinks import KeyStroke
from tailstest.machine.boot_menu import (
    ENTERS,
    MARK,
    _mark_is_on_kernel_line,
    boot_default_entry,
    boot_with_parameters,
    times_written,
)
from tailstest.machine.monitor_input import MonitorInput, key_number
from tailstest.machine.prompt_line import text_behind
from tailstest.screen.text_line import TextLine, Word


def test_key_numbers_are_scan_codes_with_extended_keys_marked():
    assert key_number(30) == 0x1E  # a
    assert key_number(108) == 0xD0  # down
    assert key_number(89) == 0x73  # beside right shift in Brazil and Japan
    assert key_number(124) == 0x7D  # yen
    with pytest.raises(InfrastructureError):
        key_number(700)


def test_releasing_a_key_of_a_machine_that_it_switched_off_is_no_trouble():
    libvirt = SimpleNamespace(libvirtError=RuntimeError)
    domain = SimpleNamespace(isActive=lambda: False)
    sink = MonitorInput(libvirt, domain, None, lambda: (1024, 768))

    def refuse(_events):
        raise InfrastructureError("the machine takes no input")

    sink._send = refuse
    sink.send_keys([KeyStroke(28, False)])
    still_known = iter([True, True, False])
    domain.isActive = lambda: next(still_known)
    sink.send_keys([KeyStroke(28, False)])  # libvirt needs a moment to notice

    def tell(_events):
        raise MachineStopped("the machine switched itself off")

    domain.isActive = lambda: True
    sink._send = tell
    sink.send_keys([KeyStroke(28, False)])  # told by an event, while the domain is still there
    with pytest.raises(MachineStopped):
        sink.send_keys([KeyStroke(28, True)])
    sink._send = refuse
    domain.isActive = lambda: False
    with pytest.raises(InfrastructureError):
        sink.send_keys([KeyStroke(28, True)])


def line(text, y):
    return TextLine((Word(text, Region(10, y, 8 * len(text), 16), 1.0),))


def test_the_mark_is_on_the_kernel_line_even_when_that_line_is_wrapped():
    mark = MARK
    head, tail = line("initrd /boot/initrd.gz", 96), line("setparams 'Install'", 32)
    kernel = line("linux /boot/linux quiet", 64)
    wrapped = line(f"splash {mark}", 80)
    assert _mark_is_on_kernel_line([head, wrapped, kernel, tail])
    assert not _mark_is_on_kernel_line([kernel, line(f"initrd /x {mark}", 80), tail])
    assert not _mark_is_on_kernel_line([line(f"setparams 'Install' {mark}", 32), kernel])
    assert not _mark_is_on_kernel_line([kernel, tail])
    halves = [line(f"| {mark[:1]}\\ |", 72), line(f"| {mark[1:]} |", 76)]
    assert _mark_is_on_kernel_line([kernel, *halves, line("initrd /x", 80)])


def test_parameters_are_seen_even_where_a_line_is_wrapped_in_the_middle_of_a_word():
    lines = [
        line("| quiet splash console=tt\\ |", 64),
        line("| yS0,115200 |", 80),
        line("| initrd /boot/initrd.gz |", 96),
    ]
    assert times_written("console=ttyS0,115200", lines) == 1
    assert times_written("splash console=ttyS0,115200", reversed(lines)) == 1
    assert times_written("console=ttyS0,115201", lines) == 0
    assert times_written("console=ttys0,115200", lines) == 1
    assert times_written("quiet", [*lines, line("quiet", 120)]) == 2


def test_what_stands_behind_the_last_prompt_is_read_without_its_caret():
    screen = [line("grub> ls", 10), line("(hd0) (cd0)", 30), line("grub> set root=(h", 50)]
    assert text_behind("grub>", [*screen, line("d0)_", 70)], "set root=(hd0)") == "setrOOt=(hdO)"
    assert text_behind("grub>", screen, "set root=(hd0)") == "setrOOt=(h"
    assert text_behind("grub>", [line("grub> _", 10)], "set") == ""
    assert text_behind("grub>", [line("grub> set_", 10)], "set_x") == "set_"
    assert text_behind("grub>", [line("grub> setx", 10)], "set") == "setx"
    assert text_behind("grub>", [line("boot:", 10)], "set") is None


@pytest.mark.parametrize("parameters", ["", "  ", "quiet\n", "debug\tquiet", "a\x1bb"])
def test_parameters_that_would_boot_or_do_nothing_are_refused(parameters):
    with pytest.raises(UsageError, match="kernel command line"):
        boot_with_parameters(None, parameters, "grub", within=1)


@pytest.mark.parametrize("lost", range(ENTERS + 1))
def test_enter_is_pressed_again_at_a_menu_that_has_lost_it_but_not_for_ever(lost):
    pressed = []

    def gone(text, within):
        if len(pressed) <= lost:
            raise CheckFailed(f"{text} is still there")

    screen = SimpleNamespace(
        watches=[],
        look_text=lambda _text, patient=True: SimpleNamespace(found=True),
        wait_text_gone=gone,
    )
    machine = SimpleNamespace(
        screen=screen,
        keyboard=SimpleNamespace(press=pressed.append),
        default_deadline=60,
        deadline_scale=1.0,
        check=lambda: None,
    )
    if lost < ENTERS:
        boot_default_entry(machine, "grub")
    else:
        with pytest.raises(CheckFailed, match="Choose one is still there"):
            boot_default_entry(machine, "grub", shows="Choose one")
    assert pressed == ["Enter"] * min(lost + 1, ENTERS)


def test_a_menu_that_is_not_recognised_is_described_with_what_can_be_done():
    screen = SimpleNamespace(
        watches=[],
        look_text=lambda _text, patient=True: SimpleNamespace(found=False),
        read=lambda: [line("Start the system", 10), line("Start it slowly", 30)],
    )
    parts = {"keyboard": SimpleNamespace(pace=None), "deadline_scale": 1.0}
    machine = SimpleNamespace(screen=screen, default_deadline=0.2, **parts)
    with pytest.raises(CheckFailed, match="Start the system\nStart it slowly") as error:
        boot_with_parameters(machine, "debug", "grub", within=0, shows="Choose one")
    assert "“Choose one” is not on the screen" in error.value.message
    assert "boot_menu_text" in error.value.hint
