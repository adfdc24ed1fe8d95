"""Reading screens: our reader against Tesseract as it comes, on real frames.

The frames in data/ were taken from real images in real machines; data/texts.toml says what stands
on them. Every way of reading is judged by

* words: share of the words on the picture that were read letter by letter;
* misreads: words that were read and do not stand there;
* texts: how many of the texts that a test would wait for are found (by our comparison), and how
  many similar ones that are not there are wrongly found;
* milliseconds for reading one picture.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tailstest.core.geometry import Region
from tailstest.screen.frame import Frame
from tailstest.screen.ocr.console import ConsoleEngine
from tailstest.screen.ocr.rapid import RapidEngine
from tailstest.screen.ocr.tesseract import TesseractEngine
from tailstest.screen.reader import Reader
from tailstest.screen.text_line import TextLine, Word
from tailstest.screen.text_match import DEFAULT_THRESHOLD, find_text

DATA = Path(__file__).parent / "data"
#: Readings of each picture; the median counts.
REPEATS = 3
#: Seconds after which a slow reading is not repeated.
ENOUGH = 1.0


@dataclass(frozen=True)
class Picture:
    """A frame and what stands on it."""

    name: str
    file: Path
    frame: Frame
    words: Sequence[str]
    present: Sequence[str]
    absent: Sequence[str]


@dataclass
class Figures:
    """How one way of reading did on one picture, or on all of them."""

    words: int = 0
    words_read: int = 0
    misreads: int = 0
    texts: int = 0
    texts_found: int = 0
    wrongly_found: int = 0
    milliseconds: float = 0.0


Read = Callable[[Picture], Sequence[TextLine]]


def load_pictures(folder: Path = DATA) -> list[Picture]:
    """Return all pictures of the benchmark."""
    texts = tomllib.loads((folder / "texts.toml").read_text(encoding="utf-8"))
    pictures = []
    for name, facts in texts.items():
        file = folder / f"{name}.png"
        frame = Frame.decode(file.read_bytes())
        words = facts["words"].split()
        pictures.append(Picture(name, file, frame, words, facts["present"], facts["absent"]))
    return pictures


def judge_reading(picture: Picture, lines: Sequence[TextLine], seconds: float) -> Figures:
    """Compare lines with what stands on a picture."""
    there = Counter(picture.words)
    read = Counter(word.text for line in lines for word in line.words)
    # Signs in other scripts and drawn boxes are nobody's mistake.
    wrong = [word for word in (read - there).elements() if sum(map(str.isalnum, word)) > 1]
    figures = Figures(
        words=there.total(),
        words_read=(there & read).total(),
        misreads=sum(word.isascii() for word in wrong),
        texts=len(picture.present),
        milliseconds=seconds * 1000,
    )
    for text in picture.present:
        match = find_text(text, lines)
        figures.texts_found += match is not None and match.counts(DEFAULT_THRESHOLD)
    for text in picture.absent:
        match = find_text(text, lines)
        figures.wrongly_found += match is not None and match.counts(DEFAULT_THRESHOLD)
    return figures


def judge_looks(picture: Picture, reader: Reader, patient: bool) -> Figures:
    """Look for every text one by one, as a test does; milliseconds are the mean of one look."""
    figures = Figures(texts=len(picture.present))
    started = time.perf_counter()
    for text in picture.present:
        figures.texts_found += reader.look(picture.frame, text, patient=patient).found
    for text in picture.absent:
        figures.wrongly_found += reader.look(picture.frame, text, patient=patient).found
    count = len(picture.present) + len(picture.absent)
    figures.milliseconds = (time.perf_counter() - started) * 1000 / count
    return figures


def tesseract_command(*options: str, threads: str = "") -> Read:
    """Return a way of reading by Tesseract's own command with `options`."""
    environment = dict(os.environ)
    if threads:
        environment["OMP_THREAD_LIMIT"] = threads

    def read(picture: Picture) -> Sequence[TextLine]:
        done = subprocess.run(
            ["tesseract", str(picture.file), "-", *options, "tsv"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        lines: dict[tuple[str, ...], list[Word]] = {}
        rows = csv.DictReader(io.StringIO(done.stdout), delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in rows:
            if row["level"] == "5" and row["text"].strip():
                box = (int(row[side]) for side in ("left", "top", "width", "height"))
                word = Word(row["text"].strip(), Region(*box), float(row["conf"]) / 100)
                place = (row["block_num"], row["par_num"], row["line_num"])
                lines.setdefault(place, []).append(word)
        return [TextLine(tuple(words)) for words in lines.values()]

    return read


def with_engine(engine: TesseractEngine | RapidEngine | ConsoleEngine) -> Read:
    """Return a way of reading by one of our engines."""
    return lambda picture: engine.read(picture.frame.pixels)


def ways_of_reading() -> Mapping[str, Read]:
    """Return everything that is compared, by name."""
    return {
        "tesseract command": tesseract_command(),
        "tesseract command, sparse, 1 thread": tesseract_command("--psm", "11", threads="1"),
        "tesserocr, sparse, as it is": with_engine(TesseractEngine(enlargement=1, prepare=False)),
        "our tesseract": with_engine(TesseractEngine()),
        "our rapidocr": with_engine(RapidEngine()),
        "our console font": with_engine(ConsoleEngine()),
    }


def measure(read: Read, picture: Picture, repeats: int = REPEATS) -> Figures:
    """Read a picture several times; the first, which loads the engine, is not timed."""
    lines = read(picture)
    seconds: list[float] = []
    for _ in range(repeats):
        if sum(seconds) > ENOUGH:
            break
        started = time.perf_counter()
        lines = read(picture)
        seconds.append(time.perf_counter() - started)
    return judge_reading(picture, lines, statistics.median(seconds))


def total(figures: Sequence[Figures]) -> Figures:
    """Add figures up; milliseconds become the mean."""
    values = {key: sum(getattr(each, key) for each in figures) for key in asdict(Figures())}
    values["milliseconds"] /= len(figures)
    return Figures(**values)


def small_region(reader: Reader, picture: Picture) -> float:
    """Return milliseconds for reading 380x40 pixels that no engine has seen before."""
    pixels = picture.frame.pixels.copy()
    pixels[-1, -1] = 255 - pixels[-1, -1]
    region = Region(0, 80, 380, 40)
    frame = Frame(np.asarray(pixels, dtype=np.uint8))
    started = time.perf_counter()
    reader.look(frame, "nowhere on this screen", region=region, patient=True)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Print a table and write all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    pictures = load_pictures()
    results: dict[str, dict[str, Figures]] = {}
    for name, read in ways_of_reading().items():
        results[name] = {picture.name: measure(read, picture) for picture in pictures}
    for name, patient in (("reader, quick look", False), ("reader, patient look", True)):
        reader = Reader()
        results[name] = {each.name: judge_looks(each, reader, patient) for each in pictures}
    small = small_region(reader, pictures[-1])
    reader.close()

    print(f"{'':38} {'words':>9} {'misread':>8} {'texts':>8} {'wrong':>6} {'ms':>7}")
    for name, by_picture in results.items():
        sums = total(list(by_picture.values()))
        words = f"{sums.words_read}/{sums.words}" if sums.words else ""
        misreads = str(sums.misreads) if sums.words else ""
        texts = f"{sums.texts_found}/{sums.texts}"
        print(
            f"{name:38} {words:>9} {misreads:>8} {texts:>8} {sums.wrongly_found:>6} "
            f"{sums.milliseconds:7.0f}"
        )
    print(f"both engines on a region of 380x40 pixels: {small:.0f} ms")
    if options.json:
        figures = {
            name: {
                "total": asdict(total(list(by_picture.values()))),
                **{picture: asdict(each) for picture, each in by_picture.items()},
            }
            for name, by_picture in results.items()
        }
        output = {"readings": figures, "small_region_ms": small}
        options.json.write_text(json.dumps(output, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
