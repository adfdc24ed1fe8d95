"""What this host can do for a run; shown by `tailstest host`."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from tailstest.core.settings import Settings
from tailstest.hypervisor.accelerator import (
    TCG_CPU,
    Accelerator,
    choose_accelerator,
    measured_again,
)
from tailstest.hypervisor.capabilities import Capabilities, ask_capabilities
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.domain_trial import DomainTrial, try_domain
from tailstest.hypervisor.firmware import FirmwarePair, choose_firmware, find_firmware
from tailstest.hypervisor.host_speed import HostSpeed, load_per_core, usable_cores
from tailstest.hypervisor.library import find_emulator
from tailstest.hypervisor.probe_cache import ProbeKey, ProbeResults, load_results, store_results

_MIB = 1024 * 1024


@dataclass(frozen=True)
class HostReport:
    """Everything a run has to know about its host.

    Attributes:
        accelerator: "kvm" or "tcg", the one that works and is allowed.
        accelerator_reason: why, in one line.
        refused: a line for each other accelerator, saying why it is not used.
        cpu_model: value for `DomainValues.cpu_model`.
        speed: what was measured; see `deadline_scale`.
        capabilities: what libvirt and QEMU offer.
        firmware: UEFI pairs, the plainest first. BIOS is part of QEMU.
        trials: what worked on a paused domain, for each firmware.
        hypervisor: the setting: "embed", "session" or "system".
        emulator: path of QEMU.
        kernel: of the host.
        cores: that we may use.
        memory_mib, memory_free_mib: of the host.
        disk_free_mib: where the current folder is.
        cached: whether accelerator and trials are remembered from earlier in this boot.
    """

    accelerator: Accelerator
    accelerator_reason: str
    refused: tuple[str, ...]
    cpu_model: str
    speed: HostSpeed
    capabilities: Capabilities
    firmware: tuple[FirmwarePair, ...]
    trials: tuple[DomainTrial, ...]
    hypervisor: str
    emulator: Path
    kernel: str
    cores: int
    memory_mib: int
    memory_free_mib: int
    disk_free_mib: int
    cached: bool

    @property
    def deadline_scale(self) -> float:
        """Factor (at least 1 unless the user chose it) on every deadline."""
        return self.speed.deadline_scale

    @property
    def screenshot_format(self) -> str:
        """MIME type of libvirt's screenshots; "" if it takes none."""
        return self.trials[0].screenshot_format if self.trials else ""

    def snapshot_kinds(self, firmware: str) -> tuple[str, ...]:
        """Return the snapshots that work with "bios" or "uefi"; see `DomainTrial`."""
        return next((each.snapshots for each in self.trials if each.firmware == firmware), ())

    def uefi_for(self, machine: str) -> FirmwarePair:
        """Return the UEFI firmware to use for the chipset "pc" or "q35".

        Raises:
            SetupError: none is installed.
        """
        return choose_firmware(self.firmware, machine)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        content = _plain(dataclasses.asdict(self))
        assert isinstance(content, dict)
        return {
            **content,
            "deadline_scale": self.deadline_scale,
            "screenshot_format": self.screenshot_format,
        }

    def to_text(self) -> str:
        """Return all of it for a person."""
        speed = self.speed
        why = (
            "chosen by the setting deadline_scale"
            if speed.forced_scale
            else f"test work took {speed.work_seconds:.2f} s, {speed.nominal_seconds:.2f} s is"
            f" normal; load per core {speed.load_per_core:.1f}"
        )
        lines = [
            ("Accelerator", f"{self.accelerator.upper()}: {self.accelerator_reason}"),
            *(("Refused", each) for each in self.refused),
            ("Deadlines", f"times {self.deadline_scale:g} ({why})"),
            ("CPU of guests", self.cpu_model),
            ("QEMU", f"{self.emulator}, {self.capabilities.qemu_version}"),
            ("libvirt", f"{self.capabilities.libvirt_version}, qemu:///{self.hypervisor}"),
            ("Firmware", "BIOS"),
            *(("", f"UEFI {pair.code}{_limits(pair)}") for pair in self.firmware),
        ]
        if not self.firmware:
            lines.append(("", "no UEFI firmware found; run: sudo apt install ovmf"))
        for trial in self.trials:
            kinds = ", ".join(trial.snapshots) or "none"
            lines.append((f"Snapshots, {trial.firmware.upper()}", kinds))
            lines.extend(("", f"refused: {each}") for each in trial.refused)
        lines += [
            ("Libvirt pictures", self.screenshot_format or "none"),
            ("Chipsets", ", ".join(self.capabilities.chipsets)),
            ("USB controllers", ", ".join(self.capabilities.usb_controllers)),
            ("Displays", ", ".join(self.capabilities.display_devices)),
            ("Host", f"Linux {self.kernel}, {self.cores} cores"),
            ("Memory", f"{self.memory_free_mib} of {self.memory_mib} MiB free"),
            ("Disk", f"{self.disk_free_mib} MiB free in the current folder"),
        ]
        return "\n".join(f"{name:<16}  {value}".rstrip() for name, value in lines)


def examine_host(settings: Settings, *, fresh: bool = False) -> HostReport:
    """Find out what this host can do.

    What takes seconds (trying the accelerator and the snapshots) is remembered until the host
    boots again, QEMU or the firmware changes, or another accelerator is asked for. How fast the
    host is, is measured again after a quarter of an hour.

    Args:
        settings: `accelerator`, `hypervisor` and `deadline_scale` are used.
        fresh: try everything again.

    Raises:
        SetupError: something is not installed, or the accelerator asked for does not work.
        InfrastructureError: libvirt or QEMU does not work at all.
    """
    emulator = find_emulator()
    firmware = tuple(find_firmware())
    plain_pair = next((pair for pair in firmware if not pair.needs_smm), None)
    key = ProbeKey.now(settings, emulator, str(plain_pair.code if plain_pair else ""))
    known = None if fresh else load_results(key)
    with (
        tempfile.TemporaryDirectory(prefix="tailstest-host-") as folder,
        # What is only asked is over at once; machines that are tried out take seconds.
        Hypervisor.open(settings, Path(folder), guarded=known is None) as hypervisor,
    ):
        capabilities = ask_capabilities(hypervisor.libvirt, hypervisor.connection, emulator)
        results = known or ProbeResults(
            key=key,
            choice=choose_accelerator(settings.accelerator, emulator),
            trials=tuple(
                try_domain(hypervisor, pair)
                for pair in ([None, plain_pair] if plain_pair else [None])
            ),
            measured=time.time(),
        )
    if results.has_old_speed:
        choice = measured_again(results.choice, emulator)
        results = replace(results, choice=choice, measured=time.time())
    if results is not known:
        store_results(results)
    choice, memory = results.choice, psutil.virtual_memory()
    return HostReport(
        accelerator=choice.accelerator,
        accelerator_reason=choice.reason,
        refused=choice.refused,
        cpu_model="host" if choice.accelerator == "kvm" else TCG_CPU,
        speed=HostSpeed(choice.probe.work_seconds, load_per_core(), settings.deadline_scale),
        capabilities=capabilities,
        firmware=firmware,
        trials=results.trials,
        hypervisor=settings.hypervisor,
        emulator=emulator,
        kernel=platform.release(),
        cores=usable_cores(),
        memory_mib=memory.total // _MIB,
        memory_free_mib=memory.available // _MIB,
        disk_free_mib=shutil.disk_usage(os.curdir).free // _MIB,
        cached=known is not None,
    )


def _limits(pair: FirmwarePair) -> str:
    words = [
        *(["Secure Boot"] if pair.secure_boot else []),
        *(["needs SMM, not used"] if pair.needs_smm else []),
    ]
    return f" ({', '.join(words)})" if words else ""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
