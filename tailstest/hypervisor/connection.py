"""The connection to libvirt that one run uses."""

from __future__ import annotations

import os
import pwd
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.paths import runtime_folder
from tailstest.core.settings import Settings
from tailstest.hypervisor.adoption import Adoption
from tailstest.hypervisor.discard import discard_domain
from tailstest.hypervisor.embedded_root import EmbeddedRoot
from tailstest.hypervisor.event_loop import EventLoop
from tailstest.hypervisor.guardian import Guardian
from tailstest.hypervisor.library import APT_COMMAND, find_emulator, load_libvirt
from tailstest.hypervisor.marker import run_of_domain
from tailstest.hypervisor.qemu_process import qemu_process
from tailstest.hypervisor.run_lease import RunLease, lease_path

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
        lease: the registration of the run; tell it of files that must not outlive the run.
    """

    def __init__(
        self,
        *,
        libvirt: Any,
        connection: Any,
        root: EmbeddedRoot | None,
        lease: RunLease,
        run_id: str,
        run_folder: Path,
        emulator: Path,
        stack: ExitStack,
    ) -> None:
        self.libvirt = libvirt
        self.connection = connection
        self.run_id = run_id
        self.run_folder = run_folder
        self.emulator = emulator
        self.lease = lease
        self._root = root
        self._stack = stack

    @classmethod
    def open(cls, settings: Settings, run_folder: Path, *, guarded: bool = True) -> Hypervisor:
        """Start the event loop and open the connection that `settings.hypervisor` names.

        The run is registered (`lease`), so that what it leaves behind when it is killed can be
        found. Call `tailstest.hypervisor.leftovers.remove_leftovers` before.

        Args:
            settings: which libvirt to use.
            run_folder: existing folder of the run.
            guarded: start a process that cleans up at once if this one is killed.

        Raises:
            SetupError: libvirt, its driver, QEMU or a user or permission is missing.
            InfrastructureError: disk full, or libvirt refuses for another reason.
        """
        emulator = find_emulator()
        libvirt = load_libvirt()
        run_id = str(uuid.uuid4())
        root = EmbeddedRoot.shared() if settings.hypervisor == "embed" else None
        uri = root.uri if root else f"qemu:///{settings.hypervisor}"
        with ExitStack() as stack:
            if guarded:
                # Registered first, so done last: the guardian finds that the lease is gone.
                guardian = Guardian(lease_path(run_id))
                stack.callback(guardian.dismiss)
            lease = RunLease.take(run_id, uri)
            stack.callback(lease.release)
            if root is not None:
                lease.own(root.path)
                root.acquire()
                stack.callback(_leave, root, lease)
            loop = EventLoop.shared(libvirt)
            loop.start()
            stack.callback(loop.stop)
            connection = _connect(libvirt, uri, settings.hypervisor, emulator, root)
            hypervisor = cls(
                libvirt=libvirt,
                connection=connection,
                root=root,
                lease=lease,
                run_id=run_id,
                run_folder=run_folder,
                emulator=emulator,
                stack=stack.pop_all(),
            )
        hypervisor._stack.callback(hypervisor._disconnect)
        return hypervisor

    @property
    def monitor(self) -> Any:
        """The module `libvirt_qemu`, which talks with QEMU itself."""
        import libvirt_qemu

        return libvirt_qemu

    @property
    def root(self) -> Path | None:
        """Private folder of the embedded driver (short path, good for sockets), else None."""
        return self._root.path if self._root else None

    def starting(self, domain: Any) -> AbstractContextManager[None]:
        """Return a context in which QEMU is started for a domain, or takes up its saved memory.

        Where libvirt is a service of its own, QEMU is none of ours.

        Args:
            domain: `libvirt.virDomain`.
        """
        if self._root is None:
            return nullcontext()
        pid_file = self._root.pid_file(domain.name())
        return Adoption(pid_file, lambda: qemu_process(domain).pid).while_starting()

    def own_domains(self) -> list[Any]:
        """Return the domains (`virDomain`) that carry the marker of this run."""
        return [
            domain
            for domain in self.connection.listAllDomains()
            if run_of_domain(self.libvirt, domain) == self.run_id
        ]

    def close(self) -> None:
        """Destroy the domains of this run, leave the connection, remove the private folder.

        May be called twice; trouble with one domain does not keep the others alive.
        """
        self._stack.close()

    def _disconnect(self) -> None:
        try:
            for domain in self.own_domains():
                discard_domain(self.libvirt, domain)
            if self._root is None:
                self.connection.close()
        except self.libvirt.libvirtError:
            return  # libvirt's daemon went away; the next start looks again

    def __enter__(self) -> Hypervisor:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _leave(root: EmbeddedRoot, lease: RunLease) -> None:
    """Remove the folder, unless another connection of this process has it, and its note, too."""
    if not root.release():
        lease.hand_over(root.path)


def _connect(libvirt: Any, uri: str, kind: str, emulator: Path, root: EmbeddedRoot | None) -> Any:
    """Open `uri` and see that its driver knows QEMU."""
    with _one_core():
        try:
            connection = root.connect(libvirt.open) if root else libvirt.open(uri)
        except libvirt.libvirtError as error:
            raise _explained(libvirt, error, kind) from error
        if root is not None:
            _learn_emulator(libvirt, connection, emulator)
            root.remember()
    return connection


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
            hint=f"if it speaks of a file: check free space and permissions of {runtime_folder()}; "
            'else set hypervisor = "session" to go around it',
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
