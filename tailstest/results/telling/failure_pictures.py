"""Pictures of failures, small enough to be sent."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tailstest.core.errors import TailstestError
from tailstest.core.paths import safe_stem
from tailstest.core.verdict import WRONG, Verdict
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import AttemptRecord, Run
from tailstest.results.telling.news import Change, News

#: Pixels of the longer side, and JPEG quality: a full screen becomes 60 to 200 KB.
LONGEST = 1280
QUALITY = 80
#: Files and pictures above this are none of ours.
MAX_BYTES = 64_000_000
MAX_PIXELS = 8192 * 8192
_BAD = (*WRONG, Verdict.INCOMPLETE)
_SHOWN = (Change.FAILING, Change.FLAKY, Change.INCOMPLETE)


@dataclass(frozen=True)
class FailurePicture:
    """A JPEG of the screen when a scenario did not pass; `name` is a safe file name."""

    name: str
    data: bytes


def failure_pictures(
    news: News,
    limit: int,
    changes: Collection[Change] = tuple(Change),
    folders: Mapping[str, Path] | None = None,
) -> list[FailurePicture]:
    """Return pictures for what is newly wrong, as far as the run's folder is on this host.

    Args:
        limit: how many at most.
        folders: of runs by their ids, where they are not where the run was recorded.
    """
    read: dict[int, tuple[RunFolder, Run] | None] = {}
    found: list[FailurePicture] = []
    for turn in news.turns:
        if len(found) >= limit:
            break
        if turn.change not in _SHOWN or turn.change not in changes:
            continue
        if turn.run.id not in read:
            moved = (folders or {}).get(turn.run.run_id)
            read[turn.run.id] = _read(moved or turn.run.folder)
        opened = read[turn.run.id]
        scenario = opened[1].scenario(turn.scenario.key) if opened else None
        if opened is None or scenario is None:
            continue
        bad = [each for each in scenario.attempts if each.verdict in _BAD and each.reason]
        file = opened[0].file(_frame(bad[-1])) if bad else None
        data = _small(file) if file else b""
        if data:
            stem = safe_stem(turn.scenario.title)[:60]
            found.append(FailurePicture(f"{len(found) + 1}-{stem}.jpg", data))
    return found


def _read(folder: str | Path) -> tuple[RunFolder, Run] | None:
    """Return a run from its folder; None when it is on another host, gone or damaged."""
    if not str(folder):
        return None
    try:
        opened = RunFolder.open(Path(folder))
        return opened, load_run(opened)
    except (TailstestError, OSError):
        return None


def _frame(attempt: AttemptRecord) -> str:
    step = attempt.bad_step
    if step is not None:
        looked = [look.files["frame"] for look in step.looks if look.files.get("frame")]
        if looked:
            return looked[-1]
        if step.frames:
            return step.frames[-1].path
    return attempt.last_frame.path if attempt.last_frame else ""


def _small(file: Path) -> bytes:
    """Return a picture as a small JPEG, b"" when it is none."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return b""
        with Image.open(file, formats=("PNG", "JPEG", "WEBP")) as image:
            if not 0 < image.width * image.height <= MAX_PIXELS:
                return b""
            plain = image.convert("RGB")
        plain.thumbnail((LONGEST, LONGEST))
        written = io.BytesIO()
        plain.save(written, "JPEG", quality=QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    return written.getvalue()
