"""Recording what a machine's screen showed as a video that browsers play."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tailstest.core.errors import InfrastructureError
from tailstest.results.video_encoder import HEADER

SUFFIX = ".webm"
#: Frames waiting for the encoder: two seconds at the usual 4 per second. When it is full, frames
#: are dropped; a test never waits for its video.
QUEUE_FRAMES = 8
#: Bytes of one video, about an hour of a busy screen.
DEFAULT_LIMIT = 64 * 1024 * 1024
#: Seconds given to the encoder to finish, before scaling; it has at most QUEUE_FRAMES to do.
FINISH_SECONDS = 30.0

_ENCODER = Path(__file__).resolve().with_name("video_encoder.py")


@dataclass(frozen=True)
class VideoReport:
    """What became of a video.

    Attributes:
        path: the file, None when there is none (no frame came, it was not wanted, trouble).
        frames: pictures in it (unchanged screens are not repeated).
        dropped: pictures lost because the encoder was too slow.
        seconds: its length.
        truncated: it reached its size limit.
        error: why there is none or only a part, "" when all went well.
    """

    path: Path | None
    frames: int
    dropped: int
    seconds: float
    truncated: bool
    error: str


class VideoRecorder:
    """Encodes frames in another process; `add` never waits and nothing here fails a test.

    Args:
        path: the file to write, ending in ".webm".
        size: width and height of the video in pixels; other frames are centred or reduced.
        limit: bytes after which the video is cut off.

    Raises:
        InfrastructureError: the encoder's process cannot be started.
    """

    def __init__(
        self, path: Path, *, size: tuple[int, int] = (1024, 768), limit: int = DEFAULT_LIMIT
    ) -> None:
        self.path = path
        self.dropped = 0
        self._queue: queue.Queue[tuple[float, np.ndarray] | None] = queue.Queue(QUEUE_FRAMES)
        self._first: float | None = None
        self._previous: np.ndarray | None = None
        self._end = 0.0
        self._report: VideoReport | None = None
        width, height = (side + side % 2 for side in size)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", _ENCODER, path, str(width), str(height), str(limit)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A Ctrl-C at the terminal must not reach it: it ends when its input does.
                start_new_session=True,
            )
        except OSError as error:
            raise InfrastructureError(
                f"cannot start the video encoder: {error.strerror}",
                hint="set video to never to run without videos",
            ) from error
        self._feeder = threading.Thread(target=self._feed, name="video", daemon=True)
        self._feeder.start()

    def add(self, pixels: np.ndarray, taken: float) -> bool:
        """Take a frame; returns at once.

        Args:
            pixels: height x width x 3, uint8, BGR; not changed by the caller afterwards.
            taken: when it was seen, in seconds of any steady clock.

        Returns:
            False when it was dropped because the encoder has not kept up.
        """
        if self._report is not None:
            return False
        if self._first is None:
            self._first = taken
        self._end = max(self._end, taken - self._first)
        if self._previous is not None and np.array_equal(pixels, self._previous):
            return True
        try:
            self._queue.put_nowait((taken - self._first, pixels))
        except queue.Full:
            self.dropped += 1
            return False
        self._previous = pixels
        return True

    def close(self, *, keep: bool = True, timeout: float = FINISH_SECONDS) -> VideoReport:
        """Finish the file; later calls return the same report.

        Args:
            keep: False removes the file (the scenario passed and only failures are kept).
            timeout: seconds for the encoder to finish; then it is ended and the part written
                so far is kept.
        """
        if self._report is not None:
            return self._report
        answer: dict[str, Any] = {}
        trouble = ""
        if not keep or self._first is None:
            self._process.kill()
        try:
            self._queue.put(None, timeout=timeout)
            self._feeder.join(timeout)
            output, errors = self._process.communicate(timeout=timeout)
            lines = output.decode("utf-8", "replace").splitlines()
            if not lines:
                raise ValueError(_last_line(errors) or f"status {self._process.returncode}")
            answer = json.loads(lines[-1])
            trouble = str(answer.get("error", ""))
        except (subprocess.TimeoutExpired, queue.Full):
            trouble = f"the video encoder did not finish within {timeout:g} s"
        except (ValueError, OSError) as error:
            trouble = f"the video encoder ended early: {error}"
        finally:
            self._stop_process()
        frames = int(answer.get("frames", 0))
        wanted = keep and self._first is not None
        if not wanted or (not frames and not _has_bytes(self.path)):
            self.path.unlink(missing_ok=True)
        self._report = VideoReport(
            path=self.path if wanted and _has_bytes(self.path) else None,
            frames=frames,
            dropped=self.dropped,
            seconds=float(answer.get("seconds", 0.0)),
            truncated=bool(answer.get("truncated", False)),
            error=trouble if wanted else "",
        )
        return self._report

    def _feed(self) -> None:
        """Write queued frames to the encoder (a thread: a full pipe must hold up nobody else)."""
        stream = self._process.stdin
        assert stream is not None
        is_broken = False
        while True:
            item = self._queue.get()
            seconds, pixels = item or (self._end, np.zeros((0, 0, 3), np.uint8))
            height, width = pixels.shape[:2]
            try:
                if not is_broken:
                    stream.write(HEADER.pack(seconds, width, height))
                    stream.write(np.ascontiguousarray(pixels).data)
                    stream.flush()
            except (OSError, ValueError):  # the encoder ended; its own message says why
                is_broken = True
            if item is None:
                return

    def _stop_process(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue


def _has_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _last_line(errors: bytes) -> str:
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
