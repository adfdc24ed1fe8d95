"""The connection to libvirt that one run uses."""

from __future__ import annotations

import os
import pwd
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.settings import Settings
from tailstest.hypervisor.embedded_root import EmbeddedRoot
from tailstest.hypervisor.event_loop import EventLoop
from tailstest.hypervisor.library import APT_COMMAND, find_emulator, load_libvirt
from tailstest.hypervisor.marker import run_of_domain

#: User that libvirt's QEMU driver looks up as root, even where the configuration names another.
DRIVER_USER = "libvirt-qemu"


class Hypervisor:
    """An open libvirt connection, its event loop and everything a run keeps there.

    Use as a context manager, or call `close`.

    Attributes:
        connection: the `libvirt.virConnect`.
        libvirt: the module, for its constants.
        run_id: unique; goes into every domain's XML as the marker of the run.
        run_folder: where the run writes its evidence.
        emulator: path of QEMU.
    """

    def __init__(
        self,
        *,
        libvirt: Any,
        connection: Any,
        loop: EventLoop,
        root: EmbeddedRoot | None,
        run_id: str,
        run_folder: Path,
        emulator: Path,
    ) -> None:
        self.libvirt = libvirt
        self.connection = connection
        self.run_id = run_id
        self.run_folder = run_folder
        self.emulator = emulator
        self._loop = loop
        self._root = root
        self._is_open = True

    @classmethod
    def open(cls, settings: Settings, run_folder: Path) -> Hypervisor:
        """Start the event loop and open the connection that `settings.hypervisor` names.

        Raises:
            SetupError: libvirt, its driver, QEMU or a user or permission is missing.
            InfrastructureError: disk full, or libvirt refuses for another reason.
        """
        emulator = find_emulator()
        libvirt = load_libvirt()
        loop = EventLoop.shared(libvirt)
        loop.start()
        root: EmbeddedRoot | None = None
        try:
            uri = f"qemu:///{settings.hypervisor}"
            if settings.hypervisor == "embed":
                root = EmbeddedRoot.shared()
                root.create()
                uri = root.uri
            with _one_core():
                try:
                    connection = libvirt.open(uri)
                except libvirt.libvirtError as error:
                    raise _explained(libvirt, error, settings.hypervisor) from error
                if root is not None:
                    _learn_emulator(libvirt, connection, emulator)
                    root.remember()
        except BaseException:
            if root is not None:
                root.remove()
            loop.stop()
            raise
        return cls(
            libvirt=libvirt,
            connection=connection,
            loop=loop,
            root=root,
            run_id=str(uuid.uuid4()),
            run_folder=run_folder,
            emulator=emulator,
        )

    @property
    def root(self) -> Path | None:
        """Private folder of the embedded driver (short path, good for sockets), else None."""
        return self._root.path if self._root else None

    def own_domains(self) -> list[Any]:
        """Return the domains (`virDomain`) that carry the marker of this run."""
        return [
            domain
            for domain in self.connection.listAllDomains()
            if run_of_domain(self.libvirt, domain) == self.run_id
        ]

    def close(self) -> None:
        """Destroy the domains of this run, close the connection, remove the private folder.

        May be called twice; trouble with one domain does not keep the others alive.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            for domain in self.own_domains():
                discard_domain(self.libvirt, domain)
            self.connection.close()
        except self.libvirt.libvirtError:
            pass  # a daemon that went away took its domains' connection with it
        finally:
            self._loop.stop()
            if self._root is not None:
                self._root.remove()

    def __enter__(self) -> Hypervisor:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def discard_domain(libvirt: Any, domain: Any) -> None:
    """Destroy and undefine `domain`, with whatever libvirt stored for it; never raises."""
    for action in (
        domain.destroy,
        lambda: domain.undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        ),
    ):
        try:
            action()
        except libvirt.libvirtError:
            continue  # was not running, or was transient and is gone


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep the calling thread on one processor core meanwhile.

    libvirt throws its notes on QEMU away when the answers of the CPUID instruction changed, and
    some of those differ from core to core. Asked on the same core every time, opening takes 40 ms
    instead of 4 s.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _learn_emulator(libvirt: Any, connection: Any, emulator: Path) -> None:
    """Make the driver ask QEMU for its capabilities now; kept for later runs afterwards."""
    try:
        connection.getDomainCapabilities(str(emulator), "x86_64", None, "qemu")
    except libvirt.libvirtError as error:
        raise SetupError(
            f"libvirt cannot use {emulator}: {error.get_error_message()}",
            hint=f"repair the installation of QEMU: {APT_COMMAND}",
        ) from error


def _explained(libvirt: Any, error: Any, kind: str) -> SetupError | InfrastructureError:
    """Turn libvirt's refusal to open a connection into what to do about it."""
    text = error.get_error_message()
    if error.get_error_code() == libvirt.VIR_ERR_NO_CONNECT or "no connection driver" in text:
        return SetupError(f"libvirt has no QEMU driver: {text}", hint=f"run: {APT_COMMAND}")
    if kind == "embed":
        if os.geteuid() == 0 and not _user_exists(DRIVER_USER):
            return SetupError(
                f"libvirt's QEMU driver needs the user {DRIVER_USER}, which does not exist",
                hint="run: sudo apt install --reinstall libvirt-daemon-system",
            )
        return InfrastructureError(
            f"libvirt's embedded QEMU driver does not start: {text}",
            hint="check free space and permissions of the folder named above",
        )
    hint = (
        "start its daemon (sudo systemctl start libvirtd.socket) and join the group libvirt"
        if kind == "system"
        else "install libvirt-daemon-system"
    )
    return SetupError(
        f"libvirt at qemu:///{kind} does not answer: {text}",
        hint=f'{hint}; or set hypervisor = "embed", which needs no daemon',
    )


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
