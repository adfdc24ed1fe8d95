"""What is left to the nights, and when it has to be seen before the next one.

Long tests and scenarios are left out of `./run test` as long as everything that scenarios are made
of is what it was when all of them passed. `./run nightly` runs them, and writes down with what.
"""

import hashlib
import sys
from pathlib import Path

from tailstest.media.live_image.recipe import tree_digest

ROOT = Path(__file__).resolve().parent.parent
#: With what all of it passed last, a digest.
PASSED_WITH = Path(__file__).with_name("nightly-passed.sha256")
MADE_OF = ("features", "steps", "images", "vm-templates")


def made_of(root=ROOT):
    """Return a digest of everything that the bundled scenarios are made of."""
    state = hashlib.sha256((root / "environment.py").read_bytes())
    for folder in MADE_OF:
        state.update(f"{folder} {tree_digest(root / folder)}\n".encode())
    return state.hexdigest()


def is_due(root=ROOT, passed_with=PASSED_WITH):
    """Tell whether something has changed since all of it passed, or nobody knows that it did."""
    return not passed_with.exists() or passed_with.read_text().strip() != made_of(root)


if __name__ == "__main__":
    sys.stdout.write(made_of() + "\n")
