"""LUKS in a file, without device mapper and thus without root.

cryptsetup writes the header and opens it; the content is encrypted here, because the kernel does
that only for root. AES in XTS mode with a tweak that counts sectors of 512 bytes is what LUKS calls
aes-xts-plain64 (https://gitlab.com/cryptsetup/LUKS2-docs, section on segments).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.media.host_tool import HostTool
from tailstest.media.stick_content.sparse import extents, make_sparse

CRYPTSETUP = HostTool("cryptsetup", package="cryptsetup-bin")

#: Bytes before the content: what LUKS2 takes by itself.
PAYLOAD = 16 << 20

_SECTOR = 512
#: Bytes that are read at once, whole sectors.
_CHUNK = 1 << 20

#: cryptsetup says with this exit status that no passphrase fits (its manual, "RETURN CODES").
_WRONG_PASSPHRASE = 2

#: Guessing the passphrase is made cheap: a guest under emulation would take minutes for what
#: protects a real stick, and what is on these is no secret.
_KINDS = {
    "LUKS1": ["--type", "luks1", "--pbkdf-force-iterations", "1000"],
    "LUKS2": [
        # Room for eight passphrases instead of sixty-odd: all of that room is filled at once.
        *("--type", "luks2", "--sector-size", "512", "--luks2-keyslots-size", "2m"),
        *("--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-parallel", "1"),
        *("--pbkdf-force-iterations", "4"),
    ],
}


def format_luks(kind: str, file: Path, passphrase: str) -> None:
    """Write a LUKS header into an existing file.

    Args:
        kind: "LUKS1" or "LUKS2".
        passphrase: any text; as a person types it, without a newline behind.

    Raises:
        UsageError: the file is too small.
        SetupError: cryptsetup is not installed.
        InfrastructureError: it fails.
    """
    if file.stat().st_size <= PAYLOAD:
        raise UsageError(
            "an encrypted partition must be larger than 16 MiB", hint="give it a larger size"
        )
    CRYPTSETUP.run(
        *("luksFormat", "--batch-mode", *_KINDS[kind]),
        *("--cipher", "aes-xts-plain64", "--key-size", "512", "--offset", str(PAYLOAD // _SECTOR)),
        *("--key-file", "-", str(file)),
        stdin=passphrase.encode(),
    )


def opens(file: Path, passphrase: str) -> bool:
    """Tell whether a passphrase opens what is in a file.

    Raises:
        InfrastructureError: there is no LUKS in it.
    """
    words = ("open", "--test-passphrase", "--key-file", "-", str(file))
    status, _stdout, stderr = CRYPTSETUP.attempt(*words, stdin=passphrase.encode())
    if status not in {0, _WRONG_PASSPHRASE}:
        said = stderr.decode(errors="replace").strip()[-200:]
        raise InfrastructureError(f"cryptsetup cannot read this: {said}")
    return status == 0


def encrypt_into(content: Path, file: Path, passphrase: str) -> None:
    """Write a file system into a file with a LUKS header that `format_luks` wrote.

    Raises:
        InfrastructureError: the passphrase does not fit, or no space.
    """
    _translate(content, file, _volume_key(file, passphrase), source=0, target=PAYLOAD, encrypt=True)


def decrypt_into(file: Path, target: Path, passphrase: str) -> None:
    """Write what is in a LUKS partition into a new file; what was never written becomes zeros.

    Only for partitions that `format_luks` made, wherever they were written to since.

    Raises:
        InfrastructureError: the passphrase does not fit, or no space.
    """
    make_sparse(target, file.stat().st_size - PAYLOAD)
    key = _volume_key(file, passphrase)
    _translate(file, target, key, source=PAYLOAD, target=0, encrypt=False)


def _volume_key(file: Path, passphrase: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tailstest-key-") as folder:
        key = Path(folder) / "key"
        CRYPTSETUP.run(
            *("luksDump", "--batch-mode", "--dump-volume-key", "--volume-key-file", str(key)),
            *("--key-file", "-", str(file)),
            stdin=passphrase.encode(),
        )
        return key.read_bytes()


def _translate(
    content: Path, into: Path, key: bytes, *, source: int, target: int, encrypt: bool
) -> None:
    # Imported late: only encrypted sticks need it.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    size, cipher = content.stat().st_size, algorithms.AES(key)

    def translated(number: int, block: bytes) -> bytes:
        worker = Cipher(cipher, modes.XTS(number.to_bytes(16, "little")))
        return (worker.encryptor() if encrypt else worker.decryptor()).update(block)

    try:
        with content.open("rb") as reading, into.open("r+b") as writing:
            for begin, end in extents(reading.fileno(), source, size):
                place = begin - (begin - source) % _SECTOR
                reading.seek(place)
                writing.seek(place - source + target)
                while place < end:
                    data = reading.read(min(_CHUNK, -(-(end - place) // _SECTOR) * _SECTOR))
                    if not data:
                        break
                    first = (place - source) // _SECTOR
                    place += len(data)
                    sectors = (
                        data[at : at + _SECTOR].ljust(_SECTOR, b"\0")
                        for at in range(0, len(data), _SECTOR)
                    )
                    writing.write(
                        b"".join(translated(n, each) for n, each in enumerate(sectors, first))
                    )
    except OSError as error:
        raise InfrastructureError(f"cannot write {into}: {error.strerror}") from error
