"""Runs in the guest: keeps a secret in the memory of a program, or writes it into a file.

It is given a seed, and makes the secret of it: so what is searched for afterwards has never been in
a request, nor in what carried it. Started with python3 -IS -c and the text of this file:

    program SEED      leaves a program behind, and prints its number when it holds the secret
    file SEED PATH    writes a file and returns when the medium has it
"""

import hashlib
import os
import signal
import sys
from pathlib import Path

#: Bytes of copies. Some memory of a program that has ended is used again at once.
IN_PROGRAM, IN_FILE = 8 << 20, 2 << 20


def secret_of(seed: str) -> str:
    """Return the secret that belongs to a seed: 64 digits."""
    return hashlib.sha256(f"secret of {seed}".encode()).hexdigest()


def copies_of(secret: str, size: int) -> bytes:
    """Return about `size` bytes full of copies, raw and in UTF-16."""
    forms = (secret.encode(), secret.encode("utf-16-le"), secret.encode("utf-16-be"))
    unit = b"\n\n".join((*forms, b""))
    return unit * (size // len(unit))


def keep_in_program(seed: str) -> None:
    """Leave a program behind that holds the secret, and print its number."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        if os.read(reading, 1) != b"1":
            sys.exit("the program that was to hold the secret has ended")
        print(child)
        return
    os.setsid()
    nowhere = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    held = copies_of(secret_of(seed), IN_PROGRAM)
    os.write(writing, b"1" if held else b"0")
    while True:
        signal.pause()


def keep_in_file(seed: str, path: str) -> None:
    """Write a file that holds the secret."""
    with Path(path).open("wb") as file:
        file.write(copies_of(secret_of(seed), IN_FILE))
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    if sys.argv[1] == "program":
        keep_in_program(sys.argv[2])
    else:
        keep_in_file(sys.argv[2], sys.argv[3])
