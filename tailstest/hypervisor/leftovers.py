"""Removing what a killed run left behind, and nothing else."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import TailstestError
from tailstest.hypervisor.discard import discard_domain
from tailstest.hypervisor.library import load_libvirt
from tailstest.hypervisor.marker import run_of_domain
from tailstest.hypervisor.qemu_process import qemu_processes
from tailstest.hypervisor.run_lease import SUFFIX, LeaseNotes, boot_id, leases_folder, read_notes

#: Seconds to wait for a killed QEMU to be gone; it has to hand back its memory first.
KILL_TIMEOUT = 30.0
#: Seconds that two clocks of one host may disagree about when a process started.
CLOCK_TOLERANCE = 2.0


def remove_leftovers() -> list[str]:
    """Remove processes, domains, folders and files of this user's runs that are dead.

    A run is dead when the lock on its lease is free. A live run is never touched, nor is any
    domain or process without the mark of a dead run, whatever its name.

    Returns:
        One sentence for every thing removed, and for every thing that could not be.
    """
    said: list[str] = []
    for path in sorted(leases_folder().glob(f"*{SUFFIX}")):
        said.extend(remove_leftovers_of(path))
    return said


def remove_leftovers_of(path: Path) -> list[str]:
    """Do the work of `remove_leftovers` for the lease at `path` alone."""
    with _lease_of_a_dead_run(path) as file:
        if file is None:
            return []
        notes = read_notes(file)
        if notes is None:
            path.unlink(missing_ok=True)
            return [f"Removed the damaged note {path} of an earlier run."]
        done, failed = _clean(notes)
        if not failed:
            path.unlink(missing_ok=True)
        return done + failed


@contextmanager
def _lease_of_a_dead_run(path: Path) -> Iterator[IO[bytes] | None]:
    """Open and lock a lease; give None if its run is alive or somebody else cleans it."""
    try:
        file = path.open("r+b")
    except OSError:
        yield None  # gone meanwhile
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        # Unlinked between opening and locking: its owner ended in order just now.
        yield file if os.fstat(file.fileno()).st_nlink else None


def _clean(notes: LeaseNotes) -> tuple[list[str], list[str]]:
    """Return what was removed and what could not be."""
    whose = f"of the run that process {notes.pid} left behind"
    done: list[str] = []
    failed: list[str] = []
    if notes.boot == boot_id():
        for process in processes_of(notes):
            if _kill(process):
                done.append(f"Ended QEMU, process {process.pid}, {whose}.")
            else:
                failed.append(f"Could not end QEMU, process {process.pid}, {whose}.")
    if not notes.uri.startswith("qemu:///embed"):
        _discard_domains(notes, whose, done, failed)
    if failed:
        return done, failed  # their files are in use
    for path in notes.belongings:
        if not os.path.lexists(path):
            continue
        problem = _remove(path)
        if problem:
            failed.append(f"Could not remove {path} {whose}: {problem}.")
        else:
            done.append(f"Removed {path} {whose}.")
    return done, failed


def processes_of(notes: LeaseNotes) -> list[psutil.Process]:
    """Return the QEMU processes of a dead run.

    They are known by the run's private folder in their command line. Its name is random and was
    never used by another run, and they cannot have started before the run did.
    """
    folders = [f"{path}/" for path in notes.belongings]
    found = []
    for process, command in qemu_processes():
        with suppress(psutil.Error):  # ended meanwhile
            if process.create_time() >= notes.started - CLOCK_TOLERANCE and any(
                folder in word for folder in folders for word in command
            ):
                found.append(process)
    return found


def _kill(process: psutil.Process) -> bool:
    def gone() -> bool | None:
        try:
            return process.status() == psutil.STATUS_ZOMBIE or None
        except psutil.NoSuchProcess:
            return True

    try:
        process.kill()  # psutil makes sure that the pid was not given to another process
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return bool(poll(gone, Deadline.after(KILL_TIMEOUT)))


def _discard_domains(notes: LeaseNotes, whose: str, done: list[str], failed: list[str]) -> None:
    """Destroy and undefine the domains with the run's mark on a connection of libvirt's daemons."""
    try:
        libvirt = load_libvirt()
        connection = libvirt.open(notes.uri)
    except TailstestError as error:
        failed.append(f"Could not look for domains {whose}: {error.message}.")
        return
    except libvirt.libvirtError as error:
        failed.append(f"Could not look for domains {whose}: {error.get_error_message()}.")
        return
    try:
        for domain in connection.listAllDomains():
            if run_of_domain(libvirt, domain) == notes.run_id:
                name = domain.name()
                problem = discard_domain(libvirt, domain)
                if problem:
                    failed.append(f"Could not remove the domain {name!r} {whose}: {problem}.")
                else:
                    done.append(f"Removed the domain {name!r} {whose}.")
    finally:
        connection.close()


def _remove(path: Path) -> str:
    """Delete a file or folder of ours; return what prevented it."""
    try:
        if path.lstat().st_uid != os.geteuid():
            return "it belongs to another user"
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        # "No such file" may be about one in the folder, which a dying server has renamed.
        return (error.strerror or str(error)) if os.path.lexists(path) else ""
    return ""
