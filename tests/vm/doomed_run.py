"""A run for tests to kill: `doomed_run.py TASK [FOLDER]`, one JSON object on standard output.

embed    start a domain of the embedded driver and wait to be killed
guarded  the same with a guardian
session  define and start domains on the user's own libvirt daemon and wait to be killed
clean    remove left-overs, tell what was said and which session domains stayed, discard those

As root the tasks of the session belong to the user nobody, for root has no session daemon.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import libvirt  # noqa: F401  before the user changes, who may not read where it is

from tailstest.core.paths import bundled
from tailstest.core.settings import Settings
from tailstest.hypervisor import domain_template
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.discard import discard_domain
from tailstest.hypervisor.domain_template import DiskValues, DomainValues
from tailstest.hypervisor.firmware import choose_firmware, find_firmware
from tailstest.hypervisor.leftovers import remove_leftovers


def main() -> None:
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == "clean":
        become_nobody()
        said = remove_leftovers()
        with Hypervisor.open(Settings(hypervisor="session"), folder, guarded=False) as hypervisor:
            left = hypervisor.connection.listAllDomains()
            names = sorted(each.name() for each in left)
            for each in left:
                discard_domain(hypervisor.libvirt, each)
        print(json.dumps({"said": said, "domains": names}), flush=True)
    elif task == "session":
        keep_templates_readable(folder)
        become_nobody()
        hypervisor = Hypervisor.open(Settings(hypervisor="session"), folder, guarded=False)
        report(hypervisor, session_domains(hypervisor, folder))
    else:
        hypervisor = Hypervisor.open(Settings(), folder, guarded=task == "guarded")
        domain = hypervisor.connection.createXML(values(hypervisor, "machine").render())
        half_written = folder / "half-written.qcow2"
        half_written.touch()
        hypervisor.lease.own(half_written)
        report(hypervisor, [domain.name()])


def report(hypervisor: Hypervisor, names: list[str]) -> None:
    """Tell where we are and wait to be killed."""
    place = {"root": str(hypervisor.root), "lease": str(hypervisor.lease.path), "domains": names}
    print(json.dumps(place), flush=True)
    sys.stdin.read()


def keep_templates_readable(folder: Path) -> None:
    """Copy the templates to where nobody may read them: a checkout may be in a closed home."""
    copied = folder / "vm-templates"
    shutil.copytree(bundled("vm-templates"), copied)
    domain_template.bundled = lambda _name: copied


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(pwd.getpwnam("nobody").pw_gid)
        os.setuid(pwd.getpwnam("nobody").pw_uid)


def values(hypervisor: Hypervisor, name: str, **more: Any) -> DomainValues:
    return DomainValues(
        name=name,
        uuid=str(uuid.uuid4()),
        run_id=more.pop("run_id", hypervisor.run_id),
        emulator=hypervisor.emulator,
        memory_mib=64,
        cpus=1,
        tb_size_mib=32,
        **more,
    )


def session_domains(hypervisor: Hypervisor, folder: Path) -> list[str]:
    """Make one of everything that keeps a domain from being undefined, and two foreign domains."""
    connection = hypervisor.connection
    disk, variables = folder / "disk.qcow2", folder / "variables.fd"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1M"], check=True)
    disks = (DiskValues(source=disk, bus="virtio", target="vda", format="qcow2"),)
    with_snapshots = connection.defineXML(
        values(hypervisor, "tailstest-snapshots", disks=disks).render()
    )
    with_snapshots.create()
    for name in ("first", "second"):
        with_snapshots.snapshotCreateXML(f"<domainsnapshot><name>{name}</name></domainsnapshot>")

    pair = choose_firmware(find_firmware(), "q35")
    shutil.copyfile(pair.variables, variables)
    uefi = values(hypervisor, "tailstest-uefi", firmware="uefi", loader=pair.code, nvram=variables)
    saved = connection.defineXML(uefi.render())
    saved.create()
    saved.managedSave(0)

    similar = values(hypervisor, "tailstest-snapshots-2", run_id="another-run")
    connection.defineXML(similar.render()).create()
    unmarked = values(hypervisor, "tailstest").render()
    start, end = unmarked.index("<metadata>"), unmarked.index("</metadata>")
    connection.defineXML(unmarked[:start] + unmarked[end + len("</metadata>") :])
    return sorted(each.name() for each in connection.listAllDomains())


if __name__ == "__main__":
    main()
