"""The memory of the host, shared out among all machines of all runs of this user.

A machine touches its memory bit by bit, so what is free when it starts says nothing about whether
there will be enough. Therefore each machine claims what it may come to need before it starts, in a
file that every run of the user looks into. A claim ends with the process that made it, however
that ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.paths import runtime_folder
from tailstest.hypervisor.qemu_process import qemu_processes

_MIB = 1024 * 1024
#: MiB that are left to everything else on the host.
RESERVE = 512
#: MiB of a QEMU besides the guest's memory and TCG's translated code: program, display, devices.
#: Measured with QEMU 7.2 under TCG: a desktop that had touched all of its 1024 MiB had 1654 MiB
#: resident, 118 MiB more than its memory and the 512 MiB of translated code.
QEMU_OVERHEAD = 160
#: Seconds to wait while others have claims; a whole suite may have to end first.
LONG_WAIT = 4 * 3600.0
#: Seconds to wait when nobody else has a claim, so that only other programs can make room; and
#: when others may be waiting for what this run has already.
SHORT_WAIT = 300.0
#: Seconds between two looks.
_INTERVAL = 0.5
#: Seconds that two clocks of one host may disagree about when a process started.
_TOLERANCE = 2.0
#: Larger files are no claims.
_MAX_BYTES = 1024 * 1024


def memory_for(memory_mib: int, accelerator: str, tb_size_mib: int) -> int:
    """Return the MiB of the host that a machine may come to need.

    Args:
        memory_mib: of the guest.
        accelerator: "kvm" or "tcg".
        tb_size_mib: that TCG may use for translated code.
    """
    return memory_mib + QEMU_OVERHEAD + (tb_size_mib if accelerator == "tcg" else 0)


@dataclass(frozen=True)
class HostMemory:
    """MiB of a host, or of the container that we are in."""

    total: int
    available: int


def host_memory(
    own: Path = Path("/proc/self/cgroup"), cgroups: Path = Path("/sys/fs/cgroup")
) -> HostMemory:
    """Return how much there is, and how much could be used now.

    A container, or a job of a batch system, often has a limit of its own (cgroups(7), version 1 or
    2), which may stand at any group above ours.

    Args:
        own: file that tells which groups we are in.
        cgroups: where the groups are.
    """
    found = psutil.virtual_memory()
    total, available = found.total // _MIB, found.available // _MIB
    for folder, limit_name, used_name in _groups(own, cgroups):
        with suppress(OSError, ValueError):
            limit = int((folder / limit_name).read_text(encoding="ascii")) // _MIB
            if limit < total:
                used = int((folder / used_name).read_text(encoding="ascii")) // _MIB
                total, available = limit, min(available, max(0, limit - used))
    return HostMemory(total, available)


def _groups(own: Path, cgroups: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield our groups and those above, with the names of limit and use in them."""
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if not controllers:
            base, limit, used = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base = cgroups / "memory"
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        folder = base / name.strip("/")
        for group in (folder, *folder.parents):
            yield group, limit, used
            if group == base:
                break


@dataclass
class Entry:
    """A claim, or the wish for one, as it stands in the file.

    Attributes:
        id: names it.
        pid, started: of the process, and when that began, in seconds since 1970.
        mib: how much.
        marker: a word in the command line of the QEMU that uses it.
        is_granted: whether it may be used; wishes are granted in their order.
    """

    id: str
    pid: int
    started: float
    mib: int
    marker: str
    is_granted: bool = False


class MemoryClaims:
    """The claims of all runs of this user.

    Args:
        limit: MiB that all machines together may take; 0: what the host has, but for `RESERVE`.
        folder: of the file; the user's runtime folder by default.
        measure: returns the memory of the host.
        used: returns the MiB that QEMU processes with a marker use by now.
    """

    def __init__(
        self,
        limit: int = 0,
        *,
        folder: Path | None = None,
        measure: Callable[[], HostMemory] = host_memory,
        used: Callable[[Sequence[str]], dict[str, int]] | None = None,
    ) -> None:
        self._folder = folder
        self._limit = limit
        self._measure = measure
        self._used = used or used_by_qemu

    @property
    def capacity(self) -> int:
        """MiB that all machines together may take."""
        whole = max(0, self._measure().total - RESERVE)
        return min(whole, self._limit) if self._limit else whole

    def claim(self, mib: int, marker: str, hold: Callable[[str], None], *, has: int = 0) -> Claim:
        """Wait until there is room for a machine, and keep it free.

        Args:
            mib: how much; see `memory_for`.
            marker: a word that will be part of QEMU's command line.
            hold: told why it waits, and "" when it goes on.
            has: MiB that are kept for the same run already. Somebody may be waiting for those, so
                it does not wait long for more.

        Raises:
            UsageError: it is more than the host has.
            InfrastructureError: no room was made, or claims cannot be written.
        """
        capacity = self.capacity
        if mib + has > capacity:
            what = f"the machines need {mib + has}" if has else f"the machine needs {mib}"
            raise UsageError(
                f"{what} MiB of the host's memory, and all machines together may"
                f" use {capacity} MiB",
                hint="give it less memory, use a larger host, or raise the setting memory_limit",
            )
        own = Entry(uuid.uuid4().hex, os.getpid(), psutil.Process().create_time(), mib, marker)
        with self._opened() as entries:
            entries.append(own)
        try:
            self._wait(own, hold, SHORT_WAIT if has else LONG_WAIT)
        except BaseException:
            self._remove(own.id)
            raise
        return Claim(self, own.id, mib)

    def _wait(self, own: Entry, hold: Callable[[str], None], limit: float) -> None:
        is_held = False
        alone = Deadline.after(SHORT_WAIT)

        def look() -> bool | None:
            nonlocal alone, is_held
            reason, others = self._reason_against(own)
            if not reason:
                return True
            if others:
                alone = Deadline.after(SHORT_WAIT)
            if not is_held:
                hold(reason)
                is_held = True
            return False if alone.expired else None

        found = poll(look, Deadline.after(limit), interval=_INTERVAL)
        if is_held:
            hold("")
        if not found:
            raise InfrastructureError(
                f"the host had no {own.mib} MiB of memory for the machine: "
                f"{self._measure().available} MiB are available",
                hint="end other programs, or run fewer workers",
            )

    def _reason_against(self, own: Entry) -> tuple[str, int]:
        """Grant the claim, or return why not, and how many others have one."""
        with self._opened() as entries:
            before = []
            for each in entries:
                if each.id == own.id:
                    break
                before.append(each)
            granted = [each for each in entries if each.is_granted]
            taken = sum(each.mib for each in granted)
            waiting = [each for each in before if not each.is_granted]
            capacity = self.capacity
            reason = ""
            if waiting:
                reason = f"waits for memory of the host, behind {len(waiting)} other machines"
            elif taken + own.mib > capacity:
                reason = (
                    f"waits for {own.mib} MiB of memory of the host; "
                    f"{capacity - taken} of {capacity} MiB are free"
                )
            else:
                kept: Counter[str] = Counter()  # a run may have several machines
                for each in granted:
                    kept[each.marker] += each.mib
                used = self._used(list(kept))
                promised = sum(max(0, mib - used.get(marker, 0)) for marker, mib in kept.items())
                free = self._measure().available - promised
                if own.mib > free:
                    reason = (
                        f"waits for {own.mib} MiB of memory of the host; {max(0, free)} MiB are"
                        " neither used nor promised"
                    )
            if not reason:
                next(each for each in entries if each.id == own.id).is_granted = True
            return reason, len(entries) - 1

    def entries(self) -> list[Entry]:
        """Return the claims and wishes of processes that live."""
        with self._opened() as entries:
            return list(entries)

    def _remove(self, number: str) -> None:
        with self._opened() as entries:
            entries[:] = [each for each in entries if each.id != number]

    @contextmanager
    def _opened(self) -> Iterator[list[Entry]]:
        """Lock and read the file; write what was changed."""
        folder = self._folder or runtime_folder()
        file = folder / "memory-claims.json"
        try:
            lock = os.open(folder / "memory-claims.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            read = _read(file)
            entries = [each for each in read if _lives(each)]
            before = [asdict(each) for each in read]
            yield entries
            after = [asdict(each) for each in entries]
            if after != before:
                fresh = file.with_suffix(".new")
                fresh.write_text(json.dumps(after), encoding="ascii")
                fresh.replace(file)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        finally:
            os.close(lock)


class Claim:
    """Memory that is kept for one machine; `release` gives it back."""

    def __init__(self, claims: MemoryClaims, number: str, mib: int) -> None:
        self.mib = mib
        self._claims = claims
        self._number = number

    def release(self) -> None:
        """Give it back; harmless when done before."""
        self._claims._remove(self._number)


def used_by_qemu(markers: Sequence[str]) -> dict[str, int]:
    """Return the MiB that QEMU processes with each of some words in their command line use."""
    found: dict[str, int] = {}
    for process, command in qemu_processes() if markers else ():
        with suppress(psutil.Error):  # ended meanwhile
            used = process.memory_info().rss // _MIB
            for marker in markers:
                if any(marker in word for word in command):
                    found[marker] = found.get(marker, 0) + used
    return found


def _lives(entry: Entry) -> bool:
    with suppress(psutil.Error):
        process = psutil.Process(entry.pid)
        return (
            abs(process.create_time() - entry.started) < _TOLERANCE
            and process.status() != psutil.STATUS_ZOMBIE
        )
    return False


def _read(file: Path) -> list[Entry]:
    """Read claims; what is not one (damaged, of another version) is dropped."""
    try:
        with file.open("rb") as opened:
            found = json.loads(opened.read(_MAX_BYTES))
    except (FileNotFoundError, ValueError):
        return []
    entries = []
    for each in found if isinstance(found, list) else []:
        with suppress(TypeError, ValueError, KeyError):
            entries.append(
                Entry(
                    id=str(each["id"]),
                    pid=int(each["pid"]),
                    started=float(each["started"]),
                    mib=max(0, int(each["mib"])),
                    marker=str(each["marker"]),
                    is_granted=bool(each["is_granted"]),
                )
            )
    return entries


def _cannot_write(folder: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"cannot note how much memory a machine takes in {folder}: {error.strerror}",
        hint="free some space there",
    )
