"""Matching: right verdicts and time, against plain OpenCV and, where installed, os-autoinst.

The frames and references are drawn here, the same at every run: a 1024x768 desktop with a label on
a coloured box, a list, a picture with noise. Every method judges every case; what is right is what
a person would say who looks at the reference and the screen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.scenes import LARGE, TIGHT, desktop, with_pointer
from tailstest.core.geometry import Point, Region
from tailstest.screen.frame import Frame, Pixels
from tailstest.screen.matching import Matcher
from tailstest.screen.reference import Area, Reference

ICON = Region(700, 500, 48, 48)
FLAT = Region(820, 600, 120, 90)
ROUNDS = 15
#: Threshold that the plain methods are used with in practice (Tails' suite, SikuliX, qecore).
PLAIN_LIMIT = 0.9
#: os-autoinst's default: 96 percent.
TINYCV_LIMIT = 0.96


def icon(pixels: Pixels, x: int, y: int) -> Pixels:
    """Return the screen with an icon drawn on it."""
    drawn = pixels.copy()
    cv2.rectangle(drawn, (x, y), (x + 47, y + 47), (30, 120, 40), -1)
    cv2.circle(drawn, (x + 24, y + 24), 15, (240, 240, 250), -1)
    cv2.line(drawn, (x + 10, y + 38), (x + 38, y + 10), (20, 20, 160), 4)
    return drawn


def caret(pixels: Pixels) -> Pixels:
    """Return the screen with a text caret behind the label's text."""
    drawn = pixels.copy()
    drawn[262:286, 352:354] = 255
    return drawn


def half_pixel(pixels: Pixels) -> Pixels:
    """Return the screen as rendered half a pixel to the right."""
    matrix = np.array([[1, 0, 0.5], [0, 1, 0]], dtype=np.float32)
    return np.asarray(cv2.warpAffine(pixels, matrix, (1024, 768), borderMode=cv2.BORDER_REPLICATE))


def jpeg(pixels: Pixels) -> Pixels:
    """Return the screen after JPEG compression with quality 75."""
    _done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def reference(pixels: Pixels, place: Region) -> Reference:
    """Return a reference with one area."""
    point = {"": Point(place.width // 2, place.height // 2)}
    area = Area("match", place, place, click_points=point)
    return Reference("label", pixels, (area,), (), {}, Path("label.png"), Path("label.json"))


Case = tuple[str, Pixels, Pixels, Region, Region | None]


def cases() -> list[Case]:
    """Return name, reference picture, screen, area, and where it is (None: not there so)."""
    base = desktop()
    made: list[Case] = []
    for size, place in (("large", LARGE), ("tight", TIGHT)):
        made += [
            (f"clean, {size}", base, base, place, place),
            (f"half a pixel, {size}", base, half_pixel(base), place, place),
            (f"JPEG, {size}", base, jpeg(base), place, place),
            (f"caret, {size}", base, caret(base), place, place),
            (f"pointer, {size}", base, with_pointer(base, 262, 270), place, place),
            (f"moved 20 px, {size}", base, desktop(at=(20, 0)), place, place.moved(20, 0)),
            (
                f"greyed out, {size}",
                base,
                desktop(ground=(150, 155, 170), ink=(175, 180, 190)),
                place,
                None,
            ),
            (f"red, {size}", base, desktop(ground=(200, 60, 40)), place, None),
            (f"one letter, {size}", base, desktop("Connecteo"), place, None),
            (f"6.2 and 6.3, {size}", desktop("Tails 6.2"), desktop("Tails 6.3"), place, None),
            (f"gone, {size}", base, desktop("", ground=(200, 205, 210)), place, None),
        ]
    with_icon = icon(base, ICON.x, ICON.y)
    twins = icon(icon(base, ICON.x - 10, ICON.y - 40), ICON.x + 30, ICON.y + 40)
    made.append(("twin icons", with_icon, twins, ICON, ICON.moved(-10, -40)))
    with_flat = base.copy()
    with_flat[FLAT.y : FLAT.bottom, FLAT.x : FLAT.right] = (90, 60, 30)
    made.append(("flat, there", with_flat, with_flat, FLAT, FLAT))
    made.append(("flat, not there", with_flat, base, FLAT, None))
    return made


def ours(picture: Pixels, screen: Pixels, place: Region) -> Region | None:
    """Judge with tailstest."""
    look = Matcher().look(Frame(screen.copy()), reference(picture, place))
    return look.areas[0].place if look.found else None


def plain(way: int) -> Callable[[Pixels, Pixels, Region], Region | None]:
    """Return a judge with OpenCV's normalised correlation and one threshold."""

    def judge(picture: Pixels, screen: Pixels, place: Region) -> Region | None:
        images = [screen, picture[place.y : place.bottom, place.x : place.right]]
        if way == cv2.IMREAD_GRAYSCALE:
            images = [np.asarray(cv2.cvtColor(each, cv2.COLOR_BGR2GRAY)) for each in images]
        scores = cv2.matchTemplate(images[0], images[1], cv2.TM_CCOEFF_NORMED)
        _low, best, _low_at, (x, y) = cv2.minMaxLoc(scores)
        return Region(x, y, place.width, place.height) if best >= PLAIN_LIMIT else None

    return judge


TINYCV = """
use lib '/usr/lib/os-autoinst'; use strict; use warnings; use tinycv; use Time::HiRes 'time';
my ($needle, $screen, $x, $y, $w, $h, $margin, $rounds) = @ARGV;
my $wanted = tinycv::read($needle); my $seen = tinycv::read($screen);
my ($sim, $fx, $fy); my @times;
for (1 .. $rounds) {
  my $fresh = $seen->copy(); my $started = time;
  ($sim, $fx, $fy) = $fresh->search_needle($wanted, $x, $y, $w, $h, $margin);
  push @times, (time - $started) * 1000;
}
@times = sort { $a <=> $b } @times;
print "$sim $fx $fy $times[@times / 2]\\n";
"""


class TinyCv:
    """os-autoinst's matcher, called through a Perl script; absent where it is not installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._script = folder / "tinycv.pl"
        self._script.write_text(TINYCV, encoding="utf-8")
        self.why_not = ""
        if shutil.which("perl") is None or not Path("/usr/lib/os-autoinst").is_dir():
            self.why_not = "os-autoinst is not installed"
        else:
            self.search(desktop(), desktop(), TIGHT, margin=50)  # says whether it runs at all

    def search(
        self, picture: Pixels, screen: Pixels, place: Region, *, margin: int, rounds: int = 1
    ) -> tuple[Region | None, float]:
        """Return where it is, or None, and the median milliseconds of a search."""
        files = [self._folder / "needle.png", self._folder / "screen.png"]
        for file, pixels in zip(files, (picture, screen), strict=True):
            cv2.imwrite(str(file), pixels)
        numbers = [*place, margin, rounds]
        done = subprocess.run(
            ["perl", str(self._script), *map(str, files), *map(str, numbers)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode != 0:
            self.why_not = f"os-autoinst does not run: {done.stderr.strip()[-200:]}"
            return None, 0.0
        similarity, x, y, milliseconds = done.stdout.split()
        found = Region(int(x), int(y), place.width, place.height)
        return (found if float(similarity) >= TINYCV_LIMIT else None), float(milliseconds)


def is_right(found: Region | None, expected: Region | None) -> bool:
    """Tell whether a verdict is right: there or not, and where, within two pixels."""
    if found is None or expected is None:
        return found is expected
    return max(abs(found.x - expected.x), abs(found.y - expected.y)) <= 2


def median_ms(action: Callable[[], object]) -> float:
    """Return the median duration of some calls, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def timed(tinycv: TinyCv) -> list[dict[str, object]]:
    """Measure searches at the recorded place, in a window, over the frame, and of several."""
    base, moved, far = desktop(), desktop(at=(20, 4)), desktop(at=(0, 200))
    colour, grey = plain(cv2.IMREAD_COLOR), plain(cv2.IMREAD_GRAYSCALE)
    rows: list[dict[str, object]] = []
    for size, place in (("400x160", LARGE), ("190x45", TIGHT)):
        wanted = reference(base, place)
        for name, screen in (
            ("at the recorded place", jpeg(base)),
            ("in the window, 20 px away", moved),
            ("over the whole frame", far),
        ):
            frames = iter([Frame(screen.copy()) for _ in range(ROUNDS)])
            row: dict[str, object] = {
                "search": f"{name}, {size}",
                "ours": median_ms(lambda: Matcher().look(next(frames), wanted)),  # noqa: B023
                "opencv grey": median_ms(lambda: grey(base, screen, place)),  # noqa: B023
                "opencv colour": median_ms(lambda: colour(base, screen, place)),  # noqa: B023
            }
            if not tinycv.why_not:
                margin = 1024 if "whole" in name else 50
                _found, row["tinycv"] = tinycv.search(
                    base, screen, place, margin=margin, rounds=ROUNDS
                )
            rows.append(row)
    many = [reference(base, TIGHT.moved(0, -number)) for number in range(10)]
    frame = Frame(far.copy())
    first = median_ms(lambda: Matcher().look(Frame(far.copy()), many[0]))
    together = median_ms(lambda: [Matcher().look(frame, each) for each in many])
    rows.append({"search": "ten references, one frame (each)", "ours": together / len(many)})
    rows.append({"search": "the same, alone", "ours": first})
    return rows


def main() -> int:
    """Print the tables and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("matching.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailstest-matching-") as folder:
        tinycv = TinyCv(Path(folder))
        judges = {
            "ours": ours,
            "opencv grey": plain(cv2.IMREAD_GRAYSCALE),
            "opencv colour": plain(cv2.IMREAD_COLOR),
        }
        if not tinycv.why_not:
            judges["tinycv"] = lambda p, s, r: tinycv.search(p, s, r, margin=50)[0]
        verdicts = {}
        for name, picture, screen, place, expected in cases():
            verdicts[name] = {
                judge: is_right(decide(picture, screen, place), expected)
                for judge, decide in judges.items()
            }
        times = timed(tinycv)
    if tinycv.why_not:
        print(f"left out: {tinycv.why_not}")
    names = [name for name in ("ours", "opencv grey", "opencv colour", "tinycv") if name in judges]
    print(f"{'verdict':28}" + "".join(f"{name:>15}" for name in names))
    for case, right in verdicts.items():
        words = "".join(f"{'right' if right[name] else 'WRONG':>15}" for name in names)
        print(f"{case:28}{words}")
    wrong = {name: sum(not right[name] for right in verdicts.values()) for name in names}
    print(f"{f'wrong of {len(verdicts)}':28}" + "".join(f"{wrong[name]:>15}" for name in names))
    print(f"\n{'milliseconds (median)':44}" + "".join(f"{name:>15}" for name in names))
    for row in times:
        cells = "".join(f"{row[n]:>15.2f}" if n in row else f"{'':>15}" for n in names)
        print(f"{row['search']!s:44}{cells}")
    content = {"verdicts": verdicts, "wrong": wrong, "milliseconds": times}
    options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
