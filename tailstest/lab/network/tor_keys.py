"""Keys of the authorities of a lab's Tor network: made once, because making them takes a minute.

They protect nothing: whoever can read them could only deceive machines in a lab of the same user.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import InfrastructureError, SetupError

#: Seconds, before scaling, for the keys of one authority: RSA with 3072 bits, twice.
KEYS_LIMIT = 120.0
#: Months that certificates are good for, and seconds after which new ones are made: well before.
MONTHS = 12
RENEW_AFTER = 200 * 86_400


@dataclass(frozen=True)
class AuthorityKeys:
    """Keys of one authority.

    Attributes:
        folder: to be copied into its data.
        identity, fingerprint: how others know it, 40 hexadecimal digits each.
    """

    folder: Path
    identity: str
    fingerprint: str


def authority_keys(
    cache: Path, addresses: list[str], port: int, *, deadline_scale: float
) -> list[AuthorityKeys]:
    """Return keys for authorities at these addresses, from the cache if they are there.

    Args:
        cache: folder that keeps them; private.
        port: of the directory, which the certificate names.
        deadline_scale: factor of the host's slowness on every deadline.

    Raises:
        SetupError: tor is not installed.
        InfrastructureError: it makes no keys; quotes what it says.
    """
    if shutil.which("tor-gencert") is None:
        raise SetupError(
            "a Tor network needs the programs tor and tor-gencert",
            hint="run: sudo apt install tor",
        )
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    seconds = KEYS_LIMIT * deadline_scale
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda each: _kept(cache, each, port, seconds), addresses))


def _kept(cache: Path, address: str, port: int, seconds: float) -> AuthorityKeys:
    folder = cache / f"{address}-{port}"
    fresh = folder.is_dir() and time.time() - folder.stat().st_mtime < RENEW_AFTER
    if not fresh:
        shutil.rmtree(folder, ignore_errors=True)
        building = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
        try:
            _make(building, address, port, seconds)
            building.rename(folder)
        except OSError:
            if not folder.is_dir():  # another run was quicker, and made just as good ones
                raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    identity = re.search(
        r"^fingerprint ([0-9A-F]{40})$",
        (folder / "keys" / "authority_certificate").read_text(),
        re.M,
    )
    fingerprint = re.search(r"\b([0-9A-F]{40})$", (folder / "fingerprint").read_text().strip())
    if identity is None or fingerprint is None:
        shutil.rmtree(folder, ignore_errors=True)
        raise InfrastructureError(f"tor's keys in {folder} were damaged", hint="run it again")
    return AuthorityKeys(folder, identity[1], fingerprint[1])


def _make(folder: Path, address: str, port: int, seconds: float) -> None:
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    command = ["tor-gencert", "--create-identity-key", "--passphrase-fd", "0"]
    command += ["-m", str(MONTHS), "-a", f"{address}:{port}"]
    for option, name in (("-i", "identity_key"), ("-s", "signing_key"), ("-c", "certificate")):
        command += [option, str(keys / f"authority_{name}")]
    _run(command, seconds)
    empty = folder / "empty"
    empty.touch()
    command = ["tor", "--list-fingerprint", "--defaults-torrc", str(empty), "-f", str(empty)]
    command += ["--DataDirectory", str(folder), "--ORPort", "9001", "--ExitRelay", "0"]
    _run(command, seconds)


def _run(argv: list[str], seconds: float) -> None:
    try:
        done = subprocess.run(
            argv, input="lab\n", capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"{argv[0]} makes no keys: {error}") from error
    if done.returncode:
        raise InfrastructureError(
            f"{argv[0]} makes no keys: {(done.stdout + done.stderr).strip()[-500:]}"
        )
