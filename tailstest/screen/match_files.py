"""Judging a picture file against a reference file, without a machine."""

from __future__ import annotations

from pathlib import Path

from tailstest.screen.frame import Frame
from tailstest.screen.look import Look
from tailstest.screen.matching import Matcher
from tailstest.screen.picture_file import open_picture
from tailstest.screen.reference import load_reference


def match_files(frame: Path, reference: Path) -> Look:
    """Look for the reference in the picture `frame`.

    Raises:
        UsageError: one of the files cannot be used; names it and why.
    """
    return Matcher().look(Frame(open_picture(frame)), load_reference(reference))
