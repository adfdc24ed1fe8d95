"""Keys of a lab's Tor network: made once, because making those of authorities takes a minute.

They protect nothing: whoever can read them could only deceive machines in a lab of the same user.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.text import printable
from tailstest.lab.network.kept_keys import kept_folder

#: Seconds, before scaling, for the keys of one authority: RSA with 3072 bits, twice.
KEYS_LIMIT = 120.0
#: Months that certificates are good for, and seconds after which new ones are made: well before.
MONTHS = 12
RENEW_AFTER = 200 * 86_400

#: The end of tor's file "fingerprint", and the line in obfs4proxy's "obfs4_bridgeline.txt".
_FINGERPRINT = re.compile(r"\b([0-9A-F]{40})\s*$")
_BRIDGE_LINE = re.compile(r"^Bridge obfs4 .*(cert=[A-Za-z0-9+/]+ iat-mode=[0-2])$", re.M)


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


@dataclass(frozen=True)
class BridgeKeys:
    """Keys of a bridge, and the state of its transport.

    Attributes:
        folder: to be copied into its data.
        fingerprint: 40 hexadecimal digits.
        arguments: what a client must know of the transport, as in a bridge line: `cert=... ...`.
    """

    folder: Path
    fingerprint: str
    arguments: str


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


def bridge_keys(cache: Path, address: str, obfs4: str, *, deadline_scale: float) -> BridgeKeys:
    """Return keys for a bridge that speaks obfs4, from the cache if they are there.

    They stay for good, so a machine that runs on from a checkpoint finds the bridge it knew. What
    does expire, its signing key after 30 days, tor replaces when it starts.

    Args:
        cache: folder that keeps them; private.
        obfs4: path of obfs4proxy.
        deadline_scale: factor of the host's slowness on every deadline.

    Raises:
        InfrastructureError: tor or obfs4proxy makes no keys; quotes what it says.
    """
    seconds = KEYS_LIMIT * deadline_scale

    def make(building: Path) -> None:
        (building / "keys").mkdir(mode=0o700)
        _make_identity(building, seconds)
        _make_transport(building / "pt_state", obfs4, seconds)

    folder = kept_folder(cache / f"bridge-{address}", make)
    fingerprint = _FINGERPRINT.search(_content(folder / "fingerprint"))
    line = _BRIDGE_LINE.search(_content(folder / "pt_state" / "obfs4_bridgeline.txt"))
    if fingerprint is None or line is None:
        raise _damaged(folder)
    return BridgeKeys(folder, fingerprint[1], line[1])


def _kept(cache: Path, address: str, port: int, seconds: float) -> AuthorityKeys:
    folder = cache / f"{address}-{port}"
    if folder.is_dir() and time.time() - folder.stat().st_mtime >= RENEW_AFTER:
        shutil.rmtree(folder, ignore_errors=True)
    kept_folder(folder, lambda building: _make(building, address, port, seconds))
    identity = re.search(
        r"^fingerprint ([0-9A-F]{40})$",
        _content(folder / "keys" / "authority_certificate"),
        re.M,
    )
    fingerprint = _FINGERPRINT.search(_content(folder / "fingerprint"))
    if identity is None or fingerprint is None:
        raise _damaged(folder)
    return AuthorityKeys(folder, identity[1], fingerprint[1])


def _make(folder: Path, address: str, port: int, seconds: float) -> None:
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    command = ["tor-gencert", "--create-identity-key", "--passphrase-fd", "0"]
    command += ["-m", str(MONTHS), "-a", f"{address}:{port}"]
    for option, name in (("-i", "identity_key"), ("-s", "signing_key"), ("-c", "certificate")):
        command += [option, str(keys / f"authority_{name}")]
    _run(command, seconds)
    _make_identity(folder, seconds)


def _make_identity(folder: Path, seconds: float) -> None:
    empty = folder / "empty"
    empty.touch()
    command = ["tor", "--list-fingerprint", "--defaults-torrc", str(empty), "-f", str(empty)]
    command += ["--DataDirectory", str(folder), "--ORPort", "9001", "--ExitRelay", "0"]
    _run(command, seconds)


def _make_transport(state: Path, obfs4: str, seconds: float) -> None:
    """Let obfs4proxy write its keys, as tor would ask it to (Tor's pt-spec, 3.2).

    It ends at once, because its input does.
    """
    environment = {
        "TOR_PT_MANAGED_TRANSPORT_VER": "1",
        "TOR_PT_STATE_LOCATION": str(state),
        "TOR_PT_EXIT_ON_STDIN_CLOSE": "1",
        "TOR_PT_SERVER_TRANSPORTS": "obfs4",
        "TOR_PT_SERVER_BINDADDR": "obfs4-127.0.0.1:0",
        "TOR_PT_ORPORT": "127.0.0.1:9",
    }
    _run([obfs4], seconds, environment)


def _content(file: Path) -> str:
    return file.read_text(errors="replace") if file.is_file() else ""


def _damaged(folder: Path) -> InfrastructureError:
    shutil.rmtree(folder, ignore_errors=True)
    return InfrastructureError(f"tor's keys in {folder} were damaged", hint="run it again")


def _run(argv: list[str], seconds: float, environment: Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            argv,
            input="lab\n",
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"{argv[0]} makes no keys: {error}") from error
    if done.returncode:
        raise InfrastructureError(
            f"{argv[0]} makes no keys: {printable((done.stdout + done.stderr).strip()[-500:])}"
        )
