"""The screen of a domain as a source of frames.

libvirt asks QEMU for PNG where it can. Packing a picture that is looked at once took a fifth of all
that the processors of a host did in a run, so QEMU itself is asked for plain pixels where it may
write into our folder: its command screendump gives PPM unless told otherwise.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.machine.qemu_monitor import NotAnswered, QemuMonitor, Refused
from tailstest.screen.frame import Frame

#: Bytes of one screenshot that are accepted: a raw PPM of 7680x4320 fits, an endless stream not.
MAX_SCREENSHOT_BYTES = 128 * 1024 * 1024

#: What to do where there is no picture, and where it cannot be written.
_STATE = "is it switched on? See the states of the machine in the report"
_ROOM = "is there room for some megabytes in {}?"


class DomainDisplay:
    """Takes screenshots of one domain; safe to use from several threads.

    Args:
        libvirt: the module.
        domain: the `virDomain` whose first screen is taken.
        monitor: of the same domain.
        dump: private file that QEMU may write; None: it runs as somebody else, and libvirt is
            asked.
    """

    def __init__(
        self, libvirt: Any, domain: Any, *, monitor: QemuMonitor, dump: Path | None
    ) -> None:
        self._libvirt = libvirt
        self._domain = domain
        self._monitor = monitor
        self._dump = dump
        self._lock = threading.Lock()
        self._last_data = b""
        self._last_frame: Frame | None = None

    def capture(self) -> Frame:
        """Return what is on the screen now.

        Raises:
            InfrastructureError: there is no picture (the machine is off), or it was cut off.
        """
        with self._lock:
            data = self._streamed() if self._dump is None else self._dumped(self._dump)
            # Decoding costs more than reading; a still screen often gives the very same bytes.
            if self._last_frame is not None and data == self._last_data:
                return self._last_frame.taken_again()
            frame = Frame.decode(data)
            self._last_data, self._last_frame = data, frame
            return frame

    def _dumped(self, file: Path) -> bytes:
        try:
            self._monitor.ask("screendump", filename=str(file))
        except NotAnswered as error:
            raise self._no_picture(error.message) from error
        except Refused as error:
            raise self._no_picture(error.message, hint=_ROOM.format(file.parent)) from error
        try:
            with file.open("rb") as picture:
                # Before it is read: what has no name is never written to the disk.
                file.unlink()
                # Room for more than there is costs: it comes from the system, page by page.
                size = os.fstat(picture.fileno()).st_size
                return _bounded(picture.read(min(size, MAX_SCREENSHOT_BYTES + 1)))
        except OSError as error:
            reason = f"{error.strerror}: {file}"
            raise self._no_picture(reason, hint=_ROOM.format(file.parent)) from error

    def _streamed(self) -> bytes:
        try:
            stream = self._domain.connect().newStream(0)
            self._domain.screenshot(stream, 0, 0)
            data = bytearray()
            while part := stream.recv(1024 * 1024):
                data += part
                if len(data) > MAX_SCREENSHOT_BYTES:
                    stream.abort()
                    break
            else:
                stream.finish()
        except self._libvirt.libvirtError as error:
            raise self._no_picture(error.get_error_message()) from error
        return _bounded(bytes(data))

    @staticmethod
    def _no_picture(reason: str, hint: str = _STATE) -> InfrastructureError:
        return InfrastructureError(
            f"the machine gives no picture of its screen: {reason}", hint=hint
        )


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_SCREENSHOT_BYTES:
        raise InfrastructureError(f"a screenshot is larger than {MAX_SCREENSHOT_BYTES} bytes")
    return data
