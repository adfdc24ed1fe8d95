"""A Dask scheduler and workers, started with Dask's own commands as a user would."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tailstest.core.deadline import Deadline, poll
from tailstest.core.paths import cache_folder

DASK = Path(sys.executable).with_name("dask")
#: Seconds for a Dask process to say that it is there; the host may be busy.
STARTED = 120


def certificates(folder: Path) -> dict[str, str]:
    """Make a certificate as docs/workers.md says, and return what Dask has to be told."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=tailstest", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    told = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(certificate)}
    for who in ("SCHEDULER", "WORKER", "CLIENT"):
        told[f"DASK_DISTRIBUTED__COMM__TLS__{who}__CERT"] = str(certificate)
        told[f"DASK_DISTRIBUTED__COMM__TLS__{who}__KEY"] = str(key)
    return told


class Cluster:
    """A scheduler, and workers on "hosts": each has folders of its own, and shares nothing."""

    def __init__(self, folder: Path, protocol: str = "tls", environment=None) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.environment = dict(environment or {})
        if protocol == "tls":
            self.environment |= certificates(folder)
        self.processes: list[subprocess.Popen] = []
        self.workers: dict[str, subprocess.Popen] = {}
        self.scheduler, said = self._start(
            "scheduler",
            r"Scheduler at: +(\S+)",
            *("scheduler", "--protocol", protocol, "--host", "127.0.0.1", "--port", "0"),
            "--no-dashboard",
        )
        self.address = said[0]

    def add_host(self, name: str, *options: str, workers: int = 1, **environment: str):
        """Start workers on a host of their own."""
        own = {
            f"XDG_{kind}_HOME": str(self.folder / name / kind.lower())
            for kind in ("CACHE", "STATE", "DATA", "CONFIG")
        }
        self._know_hardware(self.folder / name / "cache" / "tailstest")
        process, _ = self._start(
            name,
            r"Registered to: +(\S+)",
            *("worker", self.address, "--nworkers", str(workers), "--nthreads", "1"),
            *("--no-dashboard", "--local-directory", str(self.folder / f"{name}-dask"), *options),
            count=workers,
            **own,
            **environment,
        )
        self.workers[name] = process
        return process

    def _know_hardware(self, cache: Path) -> None:
        """Copy what is known of the real host: trying its accelerator takes long."""
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        for known in cache_folder().glob("host-*.json"):
            shutil.copy2(known, cache)
        for known in cache_folder().glob("libvirt-capabilities"):
            shutil.copytree(known, cache / known.name, dirs_exist_ok=True)

    def arrived(self, name: str) -> list[str]:
        """Return the digests of the files that have arrived on a host."""
        found = (self.folder / name / "cache" / "tailstest" / "arrived").glob("*")
        return sorted(each.name for each in found if re.fullmatch("[0-9a-f]{64}", each.name))

    def left_on(self, name: str) -> list[str]:
        """Return the folders of runs on a host."""
        return sorted(
            each.name for each in (self.folder / name / "cache/tailstest/spread").glob("*")
        )

    def close(self) -> None:
        for process in reversed(self.processes):
            family = (
                [*psutil.Process(process.pid).children(recursive=True)]
                if (process.poll() is None)
                else []
            )
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()

    def _start(self, name, pattern, *words, count=1, **environment):
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [DASK, *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment, **environment},
                start_new_session=True,
            )
        self.processes.append(process)

        def said():
            assert process.poll() is None, log.read_text()
            found = re.findall(pattern, log.read_text(errors="replace"))
            return found if len(found) >= count else None

        found = poll(said, Deadline.after(STARTED))
        assert found, log.read_text()
        return process, found
