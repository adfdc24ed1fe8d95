"""A capture file: pcap or pcapng, told apart by its first bytes, read as a stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.lab.capture_stream import CaptureStream
from tailstest.lab.packet import Packet
from tailstest.lab.pcap import MAGICS, read_pcap
from tailstest.lab.pcapng import SECTION, read_pcapng

#: Beginnings of files that people take for a capture, to what they are.
OTHERS = {
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first",
    b"\xfd7zX": "compressed with xz; unpack it first",
    b"\x34\xcd\xb2\xa1": "in the modified format of an old tcpdump; convert it with editcap",
    b"\xa1\xb2\xcd\x34": "in the modified format of an old tcpdump; convert it with editcap",
    b"snoop\0": "in the format of snoop; convert it with editcap",
}
BUFFER = 1024 * 1024


class CaptureFile:
    """A capture file; iterating reads it from the front and holds one packet at a time.

    Attributes:
        path: of the file.
        format: "pcap" or "pcapng"; "" before it has been read.
        lost: packets that the recording program lost, as far as it was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = ""
        self._stream: CaptureStream | None = None

    @property
    def lost(self) -> int:
        """Return how many packets the recording program says it lost."""
        return self._stream.lost if self._stream else 0

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets.

        Raises:
            UsageError: there is no such file, it is a folder, empty or no capture; a
                `CaptureDamaged` if it is cut off or wrong inside.
            InfrastructureError: reading fails half-way.
        """
        _check_place(self.path)
        try:
            opened = self.path.open("rb", buffering=BUFFER)
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {error.strerror}") from error
        with opened as file:
            stream = self._stream = CaptureStream(self.path, file)
            magic = stream.read_or_end(4, "the first four bytes")
            if magic is None:
                raise UsageError(
                    f"{self.path}: the file is empty, it does not even say that it is a capture",
                    hint="did the recording program start, and was it ended before this?",
                )
            if magic == SECTION:
                self.format = "pcapng"
                yield from read_pcapng(stream)
            elif magic in MAGICS:
                self.format = "pcap"
                yield from read_pcap(stream, magic)
            else:
                raise UsageError(f"{self.path}: {_what_else(magic)}")


def packets_in(paths: Iterable[Path]) -> Iterator[Packet]:
    """Yield the packets of several captures, one file after the other; see `CaptureFile`."""
    return itertools.chain.from_iterable(CaptureFile(path) for path in paths)


def _check_place(path: Path) -> None:
    try:
        if path.is_file():
            return
        kind = "is a folder, not a file" if path.is_dir() else "is no ordinary file"
        if not path.exists():
            kind = "no such file"
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError:
        kind = "no such file"
    raise UsageError(f"{path}: {kind}")


def _what_else(magic: bytes) -> str:
    for beginning, what in OTHERS.items():
        if magic.startswith(beginning[:4]):
            return f"the file is {what}"
    return f"neither pcap nor pcapng: it begins with the bytes {magic.hex(' ')}"
