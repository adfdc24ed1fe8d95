"""The private folder in which libvirt's embedded QEMU driver lives."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.core.paths import cache_folder, runtime_folder

#: A Unix socket's path has room for 107 bytes (unix(7)). The longest one below the root is
#: lib/qemu/domain-NNN-<20 characters of the name>/monitor.sock, 57 bytes; some are left in reserve.
MAX_ROOT_BYTES = 45

PREFIX = "e-"
CAPABILITIES = Path("cache/qemu/capabilities")

# There is no virtlogd to talk to, and none of the services that guard a system-wide libvirt.
_CONFIGURATION = """\
stdio_handler = "file"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
remember_owner = 0
"""
# Without these a driver of root would start QEMU as libvirt-qemu, which may not enter our folders.
_CONFIGURATION_OF_ROOT = """\
user = "root"
group = "root"
"""


class EmbeddedRoot:
    """The folder DIR of `qemu:///embed?root=DIR`.

    libvirt initialises the driver once per process and refuses any other root afterwards, so a
    process has one root (`EmbeddedRoot.shared`) that is removed and made again as needed. And
    every opening registers the driver anew in a table of 20 entries that nothing ever leaves
    (MAX_DRIVERS in libvirt's src/driver.h and src/libvirt.c), so a process opens one connection
    and keeps it until it ends.
    """

    _shared: EmbeddedRoot | None = None
    #: What a forked child inherited: of no use to it, and closing it would harm the parent.
    _inherited: EmbeddedRoot | None = None
    _lock = threading.Lock()

    def __init__(self) -> None:
        self.path = self._new_path()
        self._pid = os.getpid()
        self._users = 0
        self._folders: list[Path] = []
        self._connection: Any = None

    @classmethod
    def shared(cls) -> EmbeddedRoot:
        """Return the root of this process; the folder itself may not exist yet."""
        with cls._lock:
            if cls._shared is not None and cls._shared._pid != os.getpid():
                cls._inherited, cls._shared = cls._shared, None
            if cls._shared is None:
                cls._shared = cls()
            return cls._shared

    @property
    def uri(self) -> str:
        """What to open with libvirt."""
        return f"qemu:///embed?root={self.path}"

    def pid_file(self, domain: str) -> Path:
        """Return where libvirt notes the number of the QEMU of a domain, given by its name."""
        return self.path / "run" / "qemu" / f"{domain}.pid"

    def acquire(self) -> None:
        """Add a user; with the first one the folder is made, with its configuration.

        Raises:
            InfrastructureError: no space, no permission.
        """
        with self._lock:
            if self._users == 0:
                self._create()
            self._users += 1

    def release(self) -> bool:
        """Remove a user; with the last one the folder and all in it is deleted.

        Returns:
            Whether it was the last one.
        """
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return False
            try:
                shutil.rmtree(self.path, ignore_errors=True)
            finally:  # Ctrl-C may have cut that off
                shutil.rmtree(self.path, ignore_errors=True)
            return True

    def connect(self, open_connection: Callable[[str], Any]) -> Any:
        """Return the connection of this process (`libvirt.virConnect`), which nobody may close.

        Args:
            open_connection: opens a URI; called once in the life of the process, unless it raises.
        """
        with self._lock:
            if self._connection is None:
                self._connection = open_connection(self.uri)
            return self._connection

    def _create(self) -> None:
        text = _CONFIGURATION + (_CONFIGURATION_OF_ROOT if os.geteuid() == 0 else "")
        try:
            self.path.mkdir(mode=0o700)
            for folder in [self.path / "etc", self.path / CAPABILITIES, *self._folders]:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.path / "etc" / "qemu.conf").write_text(text, encoding="utf-8")
            self._copy_capabilities(_shared_capabilities(), self.path / CAPABILITIES)
        except OSError as error:
            shutil.rmtree(self.path, ignore_errors=True)
            raise InfrastructureError(
                f"cannot prepare libvirt's folder {self.path}: {error.strerror}",
                hint="free some space there, or set XDG_RUNTIME_DIR to a writable folder",
            ) from error

    def remember(self) -> None:
        """After opening: note the driver's folders, and keep what it learnt of QEMU for others.

        Asking QEMU for its capabilities costs seconds; libvirt checks by itself whether its notes
        still fit the installed QEMU.
        """
        self._folders = [folder for folder in self.path.rglob("*") if folder.is_dir()]
        try:
            self._copy_capabilities(self.path / CAPABILITIES, _shared_capabilities())
        except OSError:
            return  # only the next start would have been quicker

    @staticmethod
    def _new_path() -> Path:
        parent, name = runtime_folder(), f"{PREFIX}{secrets.token_hex(5)}"
        if len(os.fsencode(parent / name)) > MAX_ROOT_BYTES:
            parent = Path("/tmp")
        return parent / name

    @staticmethod
    def _copy_capabilities(source: Path, target: Path) -> None:
        for file in source.glob("*.xml"):
            final = target / file.name
            if final.exists() and final.read_bytes() == file.read_bytes():
                continue
            part = target / f"{file.name}.{os.getpid()}.part"
            shutil.copyfile(file, part)
            part.replace(final)


def _shared_capabilities() -> Path:
    folder = cache_folder() / "libvirt-capabilities"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
