"""Pictures of a real machine's screen, on both ways from QEMU to us."""

import numpy as np
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.machine.display import DomainDisplay

pytestmark = pytest.mark.vm


@pytest.fixture
def displays(rescue_shell, bench, tmp_path):
    """Return the machine, the display that QEMU writes and the one that libvirt hands over."""
    common = (bench.hypervisor.libvirt, rescue_shell._domain)
    monitor = rescue_shell._monitor
    written = DomainDisplay(*common, monitor=monitor, dump=tmp_path / "screen of mine")
    return rescue_shell, written, DomainDisplay(*common, monitor=monitor, dump=None)


def test_both_ways_show_the_same_and_no_file_is_left(displays, tmp_path):
    machine, written, streamed = displays

    def both():
        """Return a picture that is the same on both ways, but for a cursor that blinks."""
        first = written.capture()
        return first if np.mean(first.pixels != streamed.capture().pixels) < 0.001 else None

    first = poll(both, Deadline(60))
    assert first is not None
    assert first.pixels.any()
    assert first.pixels.shape == (first.height, first.width, 3)
    machine.keyboard.type("echo elephants\n")
    machine.screen.wait_text("elephants")
    assert np.mean(first.pixels != written.capture().pixels) > 0.001
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_is_off_has_no_picture_on_either_way(displays):
    machine, *both = displays
    machine.power_off()
    for display in both:
        with pytest.raises(InfrastructureError, match=r"gives no picture.*not running"):
            display.capture()


def test_what_qemu_cannot_write_is_said_with_its_reason(rescue_shell, bench, tmp_path):
    common = (bench.hypervisor.libvirt, rescue_shell._domain)
    away = tmp_path / "gone" / "screen"
    monitor = rescue_shell._monitor
    display = DomainDisplay(*common, monitor=monitor, dump=away)
    with pytest.raises(InfrastructureError, match=f"gives no picture.*{away}.*No such file"):
        display.capture()
