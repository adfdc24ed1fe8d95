"""How long making media of 8 GB takes, and how much room they need."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tailstest.core.paths import bundled
from tailstest.machine.profile import load_profiles
from tailstest.media.stick_content.volume import ENCRYPTIONS, FILE_SYSTEMS, Volume
from tailstest.media.stick_content.writing import written_stick
from tailstest.media.usb_stick import UsbStick

SIZE = 8_000_000_000
#: What the project promises for any medium up to that size, in seconds.
PROMISED = 2.0


def main() -> int:
    """Print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("media.json"))
    options = parser.parse_args()
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="tailstest-benchmark-") as folder:
        place = Path(folder)

        def measure(title: str, make: Callable[[Path], object]) -> None:
            file = place / f"{len(rows)}.qcow2"
            began = time.monotonic()
            make(file)
            rows[f"{title}, s"] = time.monotonic() - began
            rows[f"{title}, MB on disk"] = file.stat().st_blocks * 512 / 1e6
            file.unlink()

        image = load_profiles([bundled("images")])["grub-rescue"].image_path()
        measure("blank stick", lambda file: UsbStick.blank(file, SIZE))
        measure("stick with an image", lambda file: UsbStick.of_image(image, file, SIZE))
        original = UsbStick.of_image(image, place / "original.qcow2", SIZE)
        measure("copy of a stick", original.copy_to)
        for encryption in ENCRYPTIONS:
            for kind in FILE_SYSTEMS:
                passphrase = "correct horse" if encryption else ""
                volume = Volume(kind, "LABEL" if kind != "none" else "", encryption, passphrase)
                measure(
                    f"GPT, {encryption} {kind}".replace("  ", " "),
                    partial(written_stick, size=SIZE, table="GPT", volumes=[volume]),
                )
    slowest = max(value for name, value in rows.items() if name.endswith(", s"))
    rows["the slowest of them, s"] = slowest
    for name, value in rows.items():
        print(f"{name:<45}{value:>10.2f}")
    print(f"promised: {PROMISED:.0f} s for each; {'kept' if slowest <= PROMISED else 'NOT kept'}")
    rounded = {name: round(value, 2) for name, value in rows.items()}
    options.json.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
