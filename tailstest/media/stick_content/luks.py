"""LUKS in a file, without device mapper and thus without root.

cryptsetup writes the header and opens it; the content is encrypted here, because the kernel does
that only for root. AES in XTS mode with a tweak that counts units of 512 bytes is what LUKS calls
aes-xts-plain64 (https://gitlab.com/cryptsetup/LUKS2-docs, section on segments); it is what
cryptsetup takes by itself.
"""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.text import printable
from tailstest.media.host_tool import HostTool
from tailstest.media.stick_content.sparse import extents, make_sparse

CRYPTSETUP = HostTool("cryptsetup", package="cryptsetup-bin")

#: Bytes before the content of what is made here: what LUKS2 takes by itself.
PAYLOAD = 16 << 20

_SECTOR = 512
#: Bytes that LUKS2 may encrypt together (its format, "sector_size").
_SECTORS = (512, 1024, 2048, 4096)
#: The way of encrypting that is known here, and how many bytes a key of it has: XTS takes two keys
#: of AES, of 128 or 256 bits each (IEEE 1619).
_CIPHER = "aes-xts-plain64"
_KEYS = (32, 64)
#: The beginning of a header of LUKS1: magic, version, names of cipher, mode and hash, and where the
#: content begins, in sectors (LUKS1 On-Disk Format Specification 1.2.3, figure 1). LUKS2 has the
#: same magic and its own version.
_HEADER = struct.Struct(">6sH32s32s32sI")
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


@dataclass(frozen=True)
class Layout:
    """Where the content of an encrypted partition is, and in what pieces it is encrypted.

    Attributes:
        offset: of the content, in bytes.
        size: of the content, in bytes.
        sector: bytes that are encrypted together.
        tweak: number of the first 512 bytes of the content; it goes into their encryption.
    """

    offset: int
    size: int
    sector: int
    tweak: int


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
        *("--cipher", _CIPHER, "--key-size", "512", "--offset", str(PAYLOAD // _SECTOR)),
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


def layout_of(file: Path) -> Layout:
    """Return the layout of a LUKS partition, as its header tells it.

    Raises:
        UsageError: it is encrypted in a way that is not known here.
        CheckFailed: its header says that the content is where the partition is not.
        InfrastructureError: it cannot be read.
    """
    whole = file.stat().st_size
    try:
        with file.open("rb") as opened:
            header = opened.read(_HEADER.size)
        _magic, version, cipher, mode, _hash, sectors = _HEADER.unpack(header)
        if version == 1:
            way = b"-".join(name.split(b"\0")[0] for name in (cipher, mode)).decode("latin-1")
            offset, sector, tweak = sectors * _SECTOR, _SECTOR, 0
            size = whole - offset
        else:
            (segment,) = json.loads(_dumped(file))["segments"].values()
            # One that is also authenticated, or only about to be encrypted, has other keys.
            way = str(segment["encryption"] if segment["type"] == "crypt" else segment["type"])
            way += " with integrity" if "integrity" in segment else ""
            offset, tweak = int(segment["offset"]), int(segment["iv_tweak"])
            sector = int(segment["sector_size"])
            told = segment["size"]
            size = whole - offset if told == "dynamic" else int(told)
    except OSError as error:
        raise InfrastructureError(f"cannot read {file}: {error.strerror}") from error
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _out_of_reach("its header describes what is not known here") from error
    if way != _CIPHER or sector not in _SECTORS:
        raise _out_of_reach(f"it is encrypted with {printable(way)}, {sector} bytes at a time")
    if not (0 < offset < offset + size <= whole and 0 <= tweak < 1 << 64):
        raise CheckFailed(
            f"the header of an encrypted partition of {whole} bytes says that {size} bytes begin "
            f"at {offset}"
        )
    return Layout(offset, size // sector * sector, sector, tweak)


def encrypt_into(content: Path, file: Path, passphrase: str) -> None:
    """Write a file system into a file with a LUKS header that `format_luks` wrote.

    Raises:
        InfrastructureError: the passphrase does not fit, or no space.
    """
    key = _volume_key(file, passphrase)
    _translate(content, file, key, layout_of(file), encrypt=True)


def decrypt_into(file: Path, target: Path, passphrase: str) -> None:
    """Write what is in a LUKS partition into a new file; what was never written becomes zeros.

    Raises:
        UsageError, CheckFailed: it cannot be looked into; see `layout_of`.
        InfrastructureError: the passphrase does not fit, or no space.
    """
    layout = layout_of(file)
    key = _volume_key(file, passphrase)
    make_sparse(target, layout.size)
    _translate(file, target, key, layout, encrypt=False)


def _out_of_reach(reason: str) -> UsageError:
    return UsageError(
        f"an encrypted partition cannot be looked into from here: {reason}",
        hint=f"let the machine look into it; what can be is {_CIPHER}, as cryptsetup makes it",
    )


def _dumped(file: Path) -> bytes:
    return CRYPTSETUP.run("luksDump", "--dump-json-metadata", str(file))


def _volume_key(file: Path, passphrase: str) -> bytes:
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="key-") as folder:
        key = Path(folder) / "key"
        CRYPTSETUP.run(
            *("luksDump", "--batch-mode", "--dump-volume-key", "--volume-key-file", str(key)),
            *("--key-file", "-", str(file)),
            stdin=passphrase.encode(),
        )
        read = key.read_bytes()
    if len(read) not in _KEYS:
        raise _out_of_reach(f"its key has {len(read)} bytes")
    return read


def _translate(content: Path, into: Path, key: bytes, layout: Layout, *, encrypt: bool) -> None:
    # Imported late: only encrypted sticks need it.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    size, cipher, sector = layout.size, algorithms.AES(key), layout.sector
    source, target = (0, layout.offset) if encrypt else (layout.offset, 0)

    def translated(index: int, block: bytes) -> bytes:
        number = (layout.tweak + index * (sector // _SECTOR)) % (1 << 64)
        worker = Cipher(cipher, modes.XTS(number.to_bytes(16, "little")))
        return (worker.encryptor() if encrypt else worker.decryptor()).update(block)

    try:
        with content.open("rb") as reading, into.open("r+b") as writing:
            for begin, end in extents(reading.fileno(), source, source + size):
                place = begin - (begin - source) % sector
                reading.seek(place)
                writing.seek(place - source + target)
                while place < end:
                    data = reading.read(min(_CHUNK, -(-(end - place) // sector) * sector))
                    if not data:
                        break
                    first = (place - source) // sector
                    place += len(data)
                    pieces = (
                        data[at : at + sector].ljust(sector, b"\0")
                        for at in range(0, len(data), sector)
                    )
                    writing.write(
                        b"".join(translated(n, each) for n, each in enumerate(pieces, first))
                    )
    except OSError as error:
        raise InfrastructureError(f"cannot write {into}: {error.strerror}") from error
