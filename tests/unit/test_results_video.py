from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.results.video import QUEUE_FRAMES, VideoRecorder


def picture(number: int, width: int = 320, height: int = 200) -> np.ndarray:
    pixels = np.full((height, width, 3), 30, np.uint8)
    pixels[20:80, 10 + 8 * number : 60 + 8 * number] = (0, 200, 40 * number % 256)
    return pixels


def decoded(file: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(file)) as container:
        return [
            (
                float((frame.pts or 0) * (frame.time_base or Fraction(1))),
                frame.to_ndarray(format="bgr24"),
            )
            for frame in container.decode(video=0)
        ]


def add_all(recorder: VideoRecorder, frames: list[tuple[np.ndarray, float]]) -> None:
    """Add frames as fast as the encoder takes them, none dropped."""
    for pixels, taken in frames:
        added = poll(lambda p=pixels, t=taken: recorder.add(p, t) or None, Deadline.after(60))
        assert added


def test_frames_come_back_with_their_times(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "v.webm", size=(320, 200))
    add_all(recorder, [(picture(n), 1000.0 + n / 4) for n in range(8)])
    recorder.add(picture(7), 1003.0)  # unchanged, but it stays on the screen longer
    report = recorder.close()
    assert report.error == ""
    assert report.path == tmp_path / "v.webm"
    assert report.seconds == pytest.approx(3.0, abs=0.01)
    frames = decoded(report.path)
    assert [round(seconds, 2) for seconds, _ in frames] == [n / 4 for n in range(8)] + [3.0]
    assert np.abs(frames[3][1].astype(int) - picture(3)).mean() < 4


def test_other_sizes_are_centred_or_reduced(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "v.webm", size=(321, 200))
    white = np.full((100, 100, 3), 255, np.uint8)
    wide = np.full((100, 1300, 3), 255, np.uint8)
    add_all(recorder, [(white, 0.0), (wide, 1.0)])
    report = recorder.close()
    assert report.path is not None
    small, reduced = (pixels for _, pixels in decoded(report.path)[:2])
    assert small.shape == (200, 322, 3)
    assert small[100, 161].min() > 230
    assert small[20, 161].max() < 30
    assert small[100, 80].max() < 30
    assert reduced[100, 10].min() > 230
    assert reduced[60, 161].max() < 30


def test_a_stuck_encoder_costs_frames_and_never_time(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "v.webm", size=(1280, 800))
    os.kill(recorder._process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        kept = [recorder.add(picture(n % 30, 1280, 800), n / 4) for n in range(QUEUE_FRAMES * 5)]
        # 40 frames of 3 MB into a stopped process; generous, waiting for it would be for ever.
        assert time.monotonic() - began < 20
        assert recorder.dropped >= QUEUE_FRAMES
        assert kept.count(False) == recorder.dropped
    finally:
        os.kill(recorder._process.pid, signal.SIGCONT)
    report = recorder.close(timeout=120)
    assert report.dropped == recorder.dropped
    assert report.path is not None


def test_an_encoder_that_dies_is_reported_and_fails_nothing(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "v.webm", size=(320, 200))
    recorder.add(picture(0), 0.0)
    recorder._process.kill()
    recorder._process.wait()
    for number in range(20):
        recorder.add(picture(number), number / 4)
    report = recorder.close(timeout=30)
    assert "status -9" in report.error
    assert recorder.close() is report
    assert recorder.add(picture(1), 9.0) is False


def test_a_video_that_is_not_wanted_leaves_no_file(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "v.webm", size=(320, 200))
    add_all(recorder, [(picture(n), n / 4) for n in range(3)])
    report = recorder.close(keep=False)
    assert report.path is None
    assert report.error == ""
    assert list(tmp_path.iterdir()) == []


def test_no_frame_is_no_video(tmp_path: Path) -> None:
    report = VideoRecorder(tmp_path / "v.webm").close()
    assert report.path is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    recorder = VideoRecorder(Path("/nonexistent/v.webm"), size=(320, 200))
    recorder.add(picture(0), 0.0)
    report = recorder.close()
    assert "No such file" in report.error
    assert report.path is None


def test_a_video_is_cut_off_at_its_limit(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "v.webm", size=(320, 200), limit=20_000)
    noise = np.random.default_rng(1)
    frames = [(noise.integers(0, 256, (200, 320, 3), np.uint8), n / 4) for n in range(12)]
    add_all(recorder, frames)
    report = recorder.close()
    assert report.truncated
    assert report.path is not None
    assert report.path.stat().st_size < 120_000


KILLED = """
import sys
from pathlib import Path
import numpy as np
from tailstest.core.deadline import Deadline, poll
from tailstest.results.video import VideoRecorder
file = Path(sys.argv[1])
recorder = VideoRecorder(file, size=(320, 200))
for number in range(6):
    recorder.add(np.full((200, 320, 3), number * 20, np.uint8), number / 4)
assert poll(lambda: (file.exists() and file.stat().st_size > 0) or None, Deadline.after(60))
print(recorder._process.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_run_leaves_a_video_and_no_process(tmp_path: Path) -> None:
    file = tmp_path / "v.webm"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        encoder = int(run.stdout.readline())
        run.kill()

    def is_gone() -> bool | None:
        try:
            state = Path(f"/proc/{encoder}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z" or None

    assert poll(is_gone, Deadline.after(60))
    assert decoded(file)
