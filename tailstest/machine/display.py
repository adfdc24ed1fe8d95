"""The screen of a domain as a source of frames."""

from __future__ import annotations

import threading
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.screen.frame import Frame

#: Bytes of one screenshot that are accepted: a raw PPM of 7680x4320 fits, an endless stream not.
MAX_SCREENSHOT_BYTES = 128 * 1024 * 1024


class DomainDisplay:
    """Takes screenshots of one domain; safe to use from several threads.

    Args:
        libvirt: the module.
        domain: the `virDomain` whose first screen is taken.
    """

    def __init__(self, libvirt: Any, domain: Any) -> None:
        self._libvirt = libvirt
        self._domain = domain
        self._lock = threading.Lock()
        self._last_data = b""
        self._last_frame: Frame | None = None

    def capture(self) -> Frame:
        """Return what is on the screen now.

        Raises:
            InfrastructureError: libvirt has no picture (the machine is off), or it was cut off.
        """
        with self._lock:
            data = self._read()
            # Decoding costs more than reading; a still screen often gives the very same bytes.
            if self._last_frame is not None and data == self._last_data:
                return self._last_frame.taken_again()
            frame = Frame.decode(data)
            self._last_data, self._last_frame = data, frame
            return frame

    def _read(self) -> bytes:
        virt = self._libvirt
        try:
            stream = self._domain.connect().newStream(0)
            self._domain.screenshot(stream, 0, 0)
            parts: list[bytes] = []
            size = 0
            while part := stream.recv(1024 * 1024):
                size += len(part)
                if size > MAX_SCREENSHOT_BYTES:
                    stream.abort()
                    raise InfrastructureError(
                        f"a screenshot is larger than {MAX_SCREENSHOT_BYTES} bytes"
                    )
                parts.append(part)
            stream.finish()
        except virt.libvirtError as error:
            raise InfrastructureError(
                f"the machine gives no picture of its screen: {error.get_error_message()}",
                hint="is it switched on? See the states of the machine in the report",
            ) from error
        return b"".join(parts)
