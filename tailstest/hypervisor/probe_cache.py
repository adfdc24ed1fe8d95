"""What was found out by trying, kept until the host is booted again or QEMU changes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tailstest.core.paths import cache_folder
from tailstest.core.settings import Settings
from tailstest.hypervisor.accelerator import (
    KVM_DEVICE,
    AcceleratorChoice,
    kvm_device_problem,
)
from tailstest.hypervisor.domain_trial import DomainTrial
from tailstest.hypervisor.run_lease import boot_id

#: Raised whenever the meaning of the file changes; others are ignored.
FORMAT = 2
#: Seconds for which a measured speed holds. Hosts are shared: the same one has been seen six times
#: slower than itself some hours later, and deadlines must follow that, both ways.
SPEED_HOLDS = 900.0
MAX_CACHE_BYTES = 256 * 1024


@dataclass(frozen=True)
class ProbeKey:
    """What an answer depends on; any difference means: try again.

    Attributes:
        boot: id of the host's boot.
        emulator: path of QEMU, with the time and size of the file (a new package changes them).
        settings: the accelerator and the libvirt that were asked for.
        kvm: what was wrong with KVM's device; somebody may have joined its group meanwhile.
        firmware: UEFI files that were tried.
        user: number of the user.
    """

    boot: str
    emulator: str
    settings: str
    kvm: str
    firmware: str
    user: int
    format: int = FORMAT

    @classmethod
    def now(
        cls, settings: Settings, emulator: Path, firmware: str, *, device: Path = KVM_DEVICE
    ) -> ProbeKey:
        """Return the key that holds at present."""
        status = emulator.resolve().stat()
        return cls(
            boot=boot_id(),
            emulator=f"{emulator} {status.st_mtime_ns} {status.st_size}",
            settings=f"{settings.accelerator} {settings.hypervisor}",
            kvm=kvm_device_problem(device),
            firmware=firmware,
            user=os.geteuid(),
        )


@dataclass(frozen=True)
class ProbeResults:
    """What was found out.

    Attributes:
        key: what it depends on.
        choice: the accelerator.
        trials: what worked on a domain, for each firmware.
        measured: when the speed was measured, in seconds since the epoch.
    """

    key: ProbeKey
    choice: AcceleratorChoice
    trials: tuple[DomainTrial, ...]
    measured: float

    @property
    def has_old_speed(self) -> bool:
        """Whether the speed should be measured again; also after the clock was set back."""
        return not 0 <= time.time() - self.measured < SPEED_HOLDS


_ADAPTER = TypeAdapter(ProbeResults)


def load_results(key: ProbeKey) -> ProbeResults | None:
    """Return what is known for `key`; None if nothing is, or the file is damaged."""
    path = _path(key)
    try:
        if path.stat().st_size > MAX_CACHE_BYTES:
            return None
        results = _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return results if results.key == key else None


def store_results(results: ProbeResults) -> None:
    """Keep `results`; a full disk only means that they are found out again next time."""
    path = _path(results.key)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_bytes(_ADAPTER.dump_json(results))
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def _path(key: ProbeKey) -> Path:
    return cache_folder() / f"host-{key.settings.replace(' ', '-')}.json"
