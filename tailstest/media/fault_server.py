"""Giving a machine a medium with faults: nbdkit serves its file on a private Unix socket."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.media import faulty_disk_plugin
from tailstest.media.faults import NO_FAULTS, Faults
from tailstest.media.host_tool import ADMIN_PATH, HostTool

NBDKIT = HostTool("nbdkit", package="nbdkit nbdkit-plugin-python")

#: Seconds, before scaling, until the server answers; it starts within a tenth of a second.
START_LIMIT = 20.0

#: Seconds until it has ended after it was told to; then it is killed.
END_LIMIT = 5.0

#: Bytes of its complaints that are worth showing.
_SHOWN = 400


@dataclass(frozen=True, kw_only=True)
class FaultyDisk(DiskValues):
    """A drive whose medium has faults: a machine starts a server for it.

    Attributes:
        faults: of the medium.
    """

    faults: Faults = NO_FAULTS


class FaultServer:
    """The server of one medium. It ends with this process, however that ends.

    Args:
        file: its content, a raw file as large as the medium says it is.
        faults: what is wrong with it.
        place: of the Unix socket, which will be created.
        deadline_scale: factor of the host's slowness on every deadline.

    Raises:
        SetupError: nbdkit or its Python plugin is not installed.
        InfrastructureError: it does not start; says why.
    """

    def __init__(self, file: Path, faults: Faults, place: Path, *, deadline_scale: float) -> None:
        self.file = file
        self.faults = faults
        self.socket = place
        self._said = ""
        command = [
            NBDKIT.path,
            "--foreground",
            "--exit-with-parent",
            "--unix",
            str(place),
            "python",
            f"script={Path(faulty_disk_plugin.__file__)}",
            f"file={file}",
            f"faults={faults.model_dump_json()}",
        ]
        environment = {"PATH": os.environ.get("PATH", "") + ADMIN_PATH, "LC_ALL": "C.UTF-8"}
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                umask=0o077,
            )
        except OSError as error:
            raise InfrastructureError(f"nbdkit cannot be started: {error.strerror}") from error
        deadline = Deadline.after(START_LIMIT, scale=deadline_scale)
        try:
            answers = poll(self._look, deadline)
        except BaseException:
            self.close()
            raise
        if answers is None:
            self.close()
            raise InfrastructureError(
                f"nbdkit did not serve a medium with faults within {deadline.elapsed:.0f} s"
            )

    def check(self) -> None:
        """Raise if the server is gone, so that nobody blames the system in the machine.

        Raises:
            InfrastructureError: says why.
        """
        if self._process.poll() is not None:
            raise InfrastructureError(
                f"the server of a medium with faults ended by itself: {self._complaint()}",
                hint="is there free space in the run's folder?",
            )

    def close(self) -> None:
        """End it; may be called twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_LIMIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self.socket.unlink(missing_ok=True)

    def _look(self) -> bool | None:
        if self._process.poll() is not None:
            said = self._complaint()
            if "python" in said and "plugin" in said and "No such file" in said:
                hint = f"run: sudo apt install {NBDKIT.package}"
            elif "BlockingIOError" in said:
                raise InfrastructureError("another machine uses this medium with faults")
            else:
                hint = "is there free space in the run's folder?"
            raise InfrastructureError(f"nbdkit does not serve a medium: {said}", hint=hint)
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return None
        return True

    def _complaint(self) -> str:
        pipe = self._process.stderr
        if pipe is not None and not pipe.closed and not self._said:
            said = pipe.read().decode(errors="replace").strip()
            self._said = printable(said[-_SHOWN:]) or "it said nothing"
        return self._said
