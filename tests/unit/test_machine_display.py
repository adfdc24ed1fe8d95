"""What QEMU may answer when it is asked for a picture."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.machine import display
from tailstest.machine.display import DomainDisplay
from tailstest.machine.qemu_monitor import QemuMonitor
from tailstest.screen.frame import FrameIncomplete

LIBVIRT = SimpleNamespace(libvirtError=RuntimeError)
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def asked(tmp_path, written, answer=None):
    """Return a display whose QEMU writes some bytes, or none, and answers."""

    def command(_domain, text, _flags):
        wanted = json.loads(text)
        assert wanted["execute"] == "screendump"
        if written is not None:
            Path(wanted["arguments"]["filename"]).write_bytes(written)
        return json.dumps(answer or {"return": {}})

    monitor = QemuMonitor(LIBVIRT, SimpleNamespace(qemuMonitorCommand=command), None)
    return DomainDisplay(LIBVIRT, None, monitor=monitor, dump=tmp_path / "screen")


def test_plain_pixels_come_out_as_they_are(tmp_path):
    plain = cv2.imencode(".ppm", PICTURE)[1].tobytes()
    assert plain.startswith(b"P6")
    frame = asked(tmp_path, plain).capture()
    assert np.array_equal(frame.pixels, PICTURE)
    assert not (tmp_path / "screen").exists()


def test_a_still_screen_is_decoded_once(tmp_path):
    one = asked(tmp_path, cv2.imencode(".ppm", PICTURE)[1].tobytes())
    assert one.capture().pixels is one.capture().pixels


@pytest.mark.parametrize("written", [b"", b"P6\n6 4\n255\n\x00\x01", b"P6\n99999 4\n255\n"])
def test_half_a_picture_is_told_from_none(tmp_path, written):
    with pytest.raises(FrameIncomplete):
        asked(tmp_path, written).capture()


def test_what_qemu_refuses_is_told_in_its_words(tmp_path):
    refused = {"error": {"class": "GenericError", "desc": "no surface\x1b[2J"}}
    with pytest.raises(InfrastructureError, match=r"no picture.*no surface") as trouble:
        asked(tmp_path, None, refused).capture()
    assert "\x1b" not in trouble.value.message


def test_a_file_that_is_not_there_or_too_large_is_no_picture(tmp_path, monkeypatch):
    with pytest.raises(InfrastructureError, match=r"no picture.*No such file"):
        asked(tmp_path, None).capture()
    monkeypatch.setattr(display, "MAX_SCREENSHOT_BYTES", 100)
    with pytest.raises(InfrastructureError, match="larger than 100 bytes"):
        asked(tmp_path, bytes(101)).capture()
