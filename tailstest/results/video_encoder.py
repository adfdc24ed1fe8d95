"""The program that encodes one video; started by `VideoRecorder` in a process of its own.

It reads frames from its standard input, each a header (`HEADER`: seconds since the first frame,
width, height) and then height x width x 3 bytes of BGR, and writes WebM. When its input ends, also
because the process before it was killed, it finishes the file and prints what it did as JSON.

It imports nothing of tailstest, so that it starts quickly and by its file name alone.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from fractions import Fraction
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

HEADER = struct.Struct("<dII")
#: Pixels of the largest frame taken; a guest cannot make us allocate more.
MAX_PIXELS = 8192 * 8192
_MILLISECOND = Fraction(1, 1000)
#: Encoders in order of preference. VP9 in WebM plays in every current browser, is small for
#: screens, and a file that was cut off by a kill still plays up to there (MP4 would not).
#: "cpu-used 8" with "realtime" is libvpx's fastest setting.
ENCODERS: dict[str, dict[str, str]] = {
    "libvpx-vp9": {
        "deadline": "realtime",
        "cpu-used": "8",
        "row-mt": "1",
        "tune-content": "screen",
        "crf": "34",
        "b": "0",
        "lag-in-frames": "0",
    },
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "24", "b": "1500000"},
}


class Encoder:
    """One WebM file of a fixed size.

    Args:
        path: the file.
        width, height: of the video, even numbers; smaller frames are centred, larger ones reduced.
        limit: bytes of packets after which no more frames are taken.
    """

    def __init__(self, path: str, width: int, height: int, limit: int) -> None:
        self.frames = 0
        self.written = 0
        self.seconds = 0.0
        self.is_truncated = False
        self._limit = limit
        self._size = (width, height)
        self._last_pts = -1
        self._last: VideoFrame | None = None
        name = next(name for name in ENCODERS if name in av.codecs_available)
        self._container = av.open(
            path, "w", format="webm", options={"cluster_time_limit": "2000", "flush_packets": "1"}
        )
        self._stream = cast(VideoStream, self._container.add_stream(name, rate=30))
        self._stream.options = dict(ENCODERS[name])
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _MILLISECOND
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.gop_size = 120

    def add(self, pixels: np.ndarray, seconds: float) -> None:
        """Encode one frame shown from `seconds` on."""
        if self.is_truncated:
            return
        self._last = VideoFrame.from_ndarray(self._on_canvas(pixels), format="bgr24")
        self._encode(seconds)
        self.is_truncated = self.written > self._limit

    def close(self, seconds: float) -> None:
        """Show the last frame until `seconds` and finish the file."""
        if self._last is not None and not self.is_truncated:
            self._encode(seconds)
        self._mux(self._stream.encode(None))
        self._container.close()

    def _encode(self, seconds: float) -> None:
        assert self._last is not None
        pts = max(self._last_pts + 1, round(seconds * 1000))
        frame = self._last.reformat(format="yuv420p")
        frame.pts, frame.time_base = pts, _MILLISECOND
        self._last_pts = pts
        self.frames += 1
        self.seconds = pts / 1000
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self.written += packet.size
            self._container.mux(packet)

    def _on_canvas(self, pixels: np.ndarray) -> np.ndarray:
        width, height = self._size
        rows, columns = pixels.shape[:2]
        if (columns, rows) == (width, height):
            return pixels
        scale = min(1.0, width / columns, height / rows)
        if scale < 1.0:
            columns, rows = max(2, int(columns * scale)), max(2, int(rows * scale))
            frame = VideoFrame.from_ndarray(pixels, format="bgr24")
            pixels = frame.reformat(width=columns, height=rows).to_ndarray(format="bgr24")
        canvas = np.zeros((height, width, 3), np.uint8)
        top, left = (height - rows) // 2, (width - columns) // 2
        canvas[top : top + rows, left : left + columns] = pixels
        return canvas


def main(arguments: list[str], source: BinaryIO) -> int:
    """Encode what comes from `source`; arguments: file, width, height, limit in bytes."""
    os.nice(10)  # the guest and the test come first
    path, width, height, limit = arguments[0], *map(int, arguments[1:4])
    encoder = Encoder(path, width, height, limit)
    seconds = 0.0
    trouble = ""
    try:
        while len(header := source.read(HEADER.size)) == HEADER.size:
            seconds, columns, rows = HEADER.unpack(header)
            if rows * columns == 0:  # the end, with the time of the end
                break
            if rows * columns > MAX_PIXELS:
                trouble = f"a frame of {columns}x{rows} pixels"
                break
            data = source.read(rows * columns * 3)
            if len(data) < rows * columns * 3:
                break
            encoder.add(np.frombuffer(data, np.uint8).reshape(rows, columns, 3), seconds)
        encoder.close(seconds)
    except (OSError, av.FFmpegError) as error:  # a full disk, above all
        trouble = str(error)
    print(
        json.dumps(
            {
                "frames": encoder.frames,
                "seconds": encoder.seconds,
                "truncated": encoder.is_truncated,
                "error": trouble,
            }
        )
    )
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.buffer))
