"""A Linux that is nothing but a root shell: it starts within seconds and sees sticks and SD cards.

It is made of parts of the Debian installer: the kernel, its drivers for USB and SD, and busybox.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import shutil
import tempfile
import zlib
from pathlib import Path

from tailstest.core.errors import InfrastructureError
from tailstest.core.paths import cache_folder
from tailstest.media.boot_iso import BUILDING, BootIso, installer_iso
from tailstest.media.host_tool import HostTool

CPIO = HostTool("cpio", package="cpio")
GCC = HostTool("gcc", package="gcc libc6-dev")

#: What is taken from the installer's RAM disk: busybox, kmod, the library that they need, drivers.
_PATTERNS = (
    "bin/busybox",
    "bin/kmod",
    "lib64/*",
    "lib/x86_64-linux-gnu/ld-linux-*",
    "lib/x86_64-linux-gnu/libc.so.*",
    "lib/modules/*/modules.*",
    *(
        f"lib/modules/*/kernel/{part}/*"
        for part in ("block", "crypto", "drivers/usb/common", "drivers/usb/core", "lib", "fs/fat")
    ),
    *(
        f"lib/modules/*/kernel/{module}.ko"
        for module in (
            "drivers/usb/host/?hci-*",
            "drivers/usb/storage/usb-storage",
            "drivers/scsi/scsi_*",
            "drivers/scsi/sd_mod",
            "drivers/mmc/core/*",
            "drivers/mmc/host/*hci*",
            "fs/nls/*",
        )
    ),
)

#: The first program. "READY" on the screen and the serial port says that a shell is there. It reads
#: the keyboard and writes to the screen; what goes to /dev/ttyS0 is seen on the serial port.
_INIT = """\
#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /sys /sbin /usr/bin /mnt
for name in $(/bin/busybox --list); do /bin/busybox ln -sf /bin/busybox /usr/bin/$name; done
for name in modprobe insmod lsmod; do ln -sf /bin/kmod /sbin/$name; rm -f /usr/bin/$name; done
export PATH=/sbin:/bin:/usr/bin HOME=/ PS1='# '
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for driver in xhci_pci ehci_pci uhci_hcd usb_storage sd_mod sdhci_pci mmc_block vfat nls_cp437 \\
    nls_ascii nls_utf8; do
  modprobe $driver
done
echo READY >/dev/tty1
echo READY >/dev/ttyS0
while :; do sh -i </dev/tty1 >/dev/tty1 2>&1; done
"""

#: The installer has no `eject`. This is what it does to a disk: the kernel locks a medium that is
#: open, so unlock it (PREVENT ALLOW MEDIUM REMOVAL), then open the tray (START STOP UNIT).
_EJECT = """\
#include <fcntl.h>
#include <linux/cdrom.h>
#include <stdio.h>
#include <scsi/scsi_ioctl.h>
#include <sys/ioctl.h>
int main(int count, char **words) {
  int disk = count == 2 ? open(words[1], O_RDONLY | O_NONBLOCK) : -1;
  if (disk < 0 || ioctl(disk, SCSI_IOCTL_DOORUNLOCK) < 0 || ioctl(disk, CDROMEJECT) < 0) {
    perror("eject");
    return 1;
  }
  return 0;
}
"""


def shell_iso() -> BootIso:
    """Return the recipe of an ISO whose Linux shows a root shell; its parts are made now.

    Raises:
        SetupError: the installer's package, cpio or gcc is not installed.
        InfrastructureError: its RAM disk cannot be made.
    """
    installer = installer_iso("text")
    folder = cache_folder() / "images"
    key = hashlib.sha256(repr((_PATTERNS, _INIT, _EJECT)).encode())
    try:
        with installer.initrd.open("rb") as opened:
            key.update(hashlib.file_digest(opened, "sha256").digest())
        folder.mkdir(mode=0o700, exist_ok=True)
        finished = folder / f"shell-{key.hexdigest()[:32]}.gz"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as when an ISO is made: it clears what it finds
            if not finished.is_file():
                _build(installer.initrd, finished)
    except (OSError, EOFError, zlib.error) as error:
        raise InfrastructureError(
            f"the RAM disk of a Linux with nothing but a shell cannot be made: {error}",
            hint="is there free space where the cache is? Is the installer's package complete?",
        ) from error
    parameters = "norandmaps mitigations=off console=ttyS0 rdinit=/init"
    return BootIso("Shell", installer.kernel, finished, parameters, timeout=0)


def _build(initrd: Path, finished: Path) -> None:
    for tool in (CPIO, GCC):
        _ = tool.path  # before the archive is unpacked, which takes seconds
    with tempfile.TemporaryDirectory(dir=finished.parent, prefix=BUILDING) as temporary:
        tree, made = Path(temporary) / "tree", Path(temporary) / "initrd.gz"
        tree.mkdir()
        archive = gzip.decompress(initrd.read_bytes())
        CPIO.run(
            *("--extract", "--make-directories", "--quiet", "--no-absolute-filenames"),
            *(f"--directory={tree}", *_PATTERNS),
            stdin=archive,
        )
        source = Path(temporary) / "eject.c"
        source.write_text(_EJECT, encoding="ascii")
        GCC.run("-static", "-O1", "-s", "-o", str(tree / "bin/eject"), str(source))
        (tree / "init").write_text(_INIT, encoding="ascii")
        (tree / "init").chmod(0o755)
        names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
        packed = CPIO.run(
            *("--create", "--format=newc", "--quiet", "--owner=0:0", f"--directory={tree}"),
            stdin="\n".join(names).encode(),
        )
        made.write_bytes(gzip.compress(packed, compresslevel=6))
        shutil.move(made, finished)
