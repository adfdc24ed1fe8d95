"""A Dask scheduler that somebody else has started: reached, trusted and understood, or refused."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
import distributed

from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.core.text import printable

#: Seconds for a scheduler to answer.
_ANSWER = 20.0
#: Seconds for the first worker to be there.
_FIRST_WORKER = 30.0
_CLOSING = 4.0
#: Bytes of a scheduler file that are read.
_MAX_FILE = 64 * 1024


def scheduler_address(text: str) -> str:
    """Return the address of a scheduler with its protocol.

    Args:
        text: an address such as tls://host:8786, or the file that `--scheduler-file` has written.

    Raises:
        UsageError: it is neither.
    """
    text = text.strip()
    if Path(text).is_file():
        try:
            with Path(text).open("rb") as file:
                text = str(json.loads(file.read(_MAX_FILE))["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{text} is not a scheduler file of Dask") from error
    address = text if "://" in text else f"tcp://{text}"
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in {"tcp", "tls"} or not parts.hostname or port is None:
        raise UsageError(
            f'--scheduler "{printable(text)}" is no address of a Dask scheduler',
            hint="`dask scheduler` prints it: tls://HOST:8786, or tcp://127.0.0.1:8786",
        )
    return address


def check_trust(addresses: Mapping[str, str], *, trust_network: bool) -> str:
    """Refuse connections that anybody on the way can listen to, or use.

    Args:
        addresses: of scheduler and workers, to what they are.
        trust_network: the setting of this name.

    Returns:
        A warning; "" if there is nothing to warn of.

    Raises:
        UsageError: one is not encrypted and leads to another host.
    """
    plain = {each: what for each, what in addresses.items() if not each.startswith("tls://")}
    if not plain:
        return ""
    for address, what in plain.items():
        if not trust_network and not _is_here(address):
            raise UsageError(
                f"the connection to {what} {address} is not encrypted: whoever can reach it, or"
                " listens on the way, can run programs on this host and on the workers, since Dask"
                " sends and takes Python objects",
                hint="give scheduler, workers and tailstest certificates (docs/workers.md), or, in"
                " a network that only you can use, set trust_network to true",
            )
    if trust_network and not all(map(_is_here, plain)):
        return (
            "the connections to Dask are not encrypted: whoever can reach them can run programs on"
            " this host and on the workers"
        )
    return (
        "the connections to Dask on this host are not encrypted: other users of this host could run"
        " programs as you"
    )


@contextmanager
def connected(address: str) -> Iterator[distributed.Client]:
    """Connect to a scheduler.

    Raises:
        UsageError: certificates are needed and not named.
        InfrastructureError: no scheduler answers.
    """
    security = distributed.Security()  # from Dask's own configuration
    if address.startswith("tls://") and not security.tls_ca_file:
        raise UsageError(
            f"{address} is encrypted, but no certificates are named for this side",
            hint="set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._CLIENT__CERT and ..._CLIENT__KEY;"
            " see docs/workers.md",
        )
    _knock(address)
    with _quiet(), dask.config.set({"distributed.comm.timeouts.connect": _ANSWER}):
        try:
            client = distributed.Client(
                address, security=security, timeout=_ANSWER, set_as_default=False
            )
        except (OSError, ValueError, RuntimeError, TimeoutError) as error:
            raise InfrastructureError(
                f"no Dask scheduler answers at {address}: {_reason(error)}",
                hint="see whether `dask scheduler` runs there, and whether both sides use TLS",
            ) from error
        try:
            yield client
        finally:
            with suppress(Exception):  # it may be gone
                client.close(timeout=_CLOSING)


def _knock(address: str) -> None:
    """Find out at once that nothing listens; Dask would try on and on.

    Raises:
        InfrastructureError: says why.
    """
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_ANSWER).close()
    except OSError as error:
        raise InfrastructureError(
            f"no Dask scheduler answers at {address}: {error.strerror or _reason(error)}",
            hint="see whether `dask scheduler` runs there, and at which address",
        ) from error


def check_versions(client: distributed.Client) -> None:
    """Refuse a scheduler or worker whose Python or Dask could not understand us.

    Raises:
        SetupError: names it and both versions.
        InfrastructureError: there is no worker.
    """
    with suppress(TimeoutError, distributed.TimeoutError):
        client.wait_for_workers(1, timeout=_FIRST_WORKER)
    found = client.get_versions()
    if not found["workers"]:
        raise InfrastructureError(
            f"the scheduler at {client.scheduler.address} has no workers",
            hint=f"start some: dask worker {client.scheduler.address} --nworkers 2 --nthreads 1",
        )
    own = _versions(found["client"])
    others = {"the scheduler": found["scheduler"]} | {
        f"the worker {address}": told for address, told in sorted(found["workers"].items())
    }
    for who, told in others.items():
        if told is None:
            raise InfrastructureError(f"{who} did not tell its versions")
        for name, version in _versions(told).items():
            if version != own[name]:
                raise SetupError(
                    f"{who} has {name} {printable(version)}, and this is {name} {own[name]}",
                    hint="install the same versions everywhere (requirements.lock names them)",
                )


def _versions(told: Mapping[str, Any]) -> dict[str, str]:
    packages = told.get("packages", {})
    python = ".".join(str(packages.get("python", "?")).split(".")[:2])
    return {
        "Python": python,
        "Dask": str(packages.get("dask", "?")),
        "distributed": str(packages.get("distributed", "?")),
    }


def _is_here(address: str) -> bool:
    """Tell whether an address is one of the loopback device, which no other host can use."""
    host = urlsplit(address).hostname or ""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(each).is_loopback for each in found)


def _reason(error: BaseException) -> str:
    text = printable(str(error)).strip().splitlines()
    return text[0][:300] if text else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own log off the terminal: what matters of it becomes an error of ours."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
