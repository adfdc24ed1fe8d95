"""Runs in the guest: writes notes into a file, and confirms each when the medium has it.

What is confirmed stands on the serial port, thus on the host, and survives when the power fails.
Started with python3 -IS -c, the text of this file, the path of the notes and that of the port; it
leaves a program behind and prints its number.
"""

import hashlib
import itertools
import os
import sys
from pathlib import Path

#: What is written to the serial port in front of the number of a note.
CONFIRMED = "confirmed note"


def note(number: int) -> str:
    """Return a note: a line of 4 KiB that cannot be taken for another one."""
    word = hashlib.sha256(f"note {number}".encode()).hexdigest()
    return f"{number} {word * 64}"[:4095]


def write_notes(path: str, port: str) -> None:
    """Write one note after another, as long as there is room."""
    with (
        Path(path).open("ab", buffering=0) as file,
        Path(port).open("wb", buffering=0) as confirmed,
    ):
        for number in itertools.count(1):
            file.write(f"{note(number)}\n".encode())
            os.fsync(file.fileno())
            confirmed.write(f"{CONFIRMED} {number}\n".encode())


if __name__ == "__main__":
    child = os.fork()
    if child:
        print(child)
        sys.exit()
    os.setsid()
    nowhere = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    write_notes(sys.argv[1], sys.argv[2])
