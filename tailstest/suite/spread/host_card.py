"""What a worker's host is and can do, told to the client before anything is given to it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tailstest
from tailstest.core.errors import TailstestError
from tailstest.core.paths import bundled
from tailstest.core.settings import Settings, load_settings
from tailstest.hypervisor.host_report import examine_host
from tailstest.hypervisor.memory_claims import MemoryClaims
from tailstest.lab.network.lab import why_no_lab
from tailstest.suite.checkpoints.keys import base_of
from tailstest.suite.spread.arrivals import Arrivals

#: Seconds that examining a host may take; the first time it tries the accelerator.
_LIMIT = 180.0
_START = (
    "import sys; sys.path[:] = {path!r}; from tailstest.suite.spread.host_card import main; main()"
)
#: What all hosts must have alike: the package, and the folders that come with it.
PACKAGE = Path(tailstest.__file__).parent
BUNDLED = ("steps", "images", "vm-templates")


@dataclass(frozen=True)
class HostCard:
    """A worker's host.

    Attributes:
        name: of the host, for people.
        host: the same for all workers that share arrived files, and for no others.
        version: of tailstest.
        code: digest of tailstest's files.
    """

    name: str
    host: str
    version: str
    code: str


@dataclass(frozen=True)
class Abilities:
    """What a host can do.

    Attributes:
        memory_mib: that all machines together may take.
        accelerator: "kvm" or "tcg"; "" where no machine can run.
        no_lab: why there can be no lab; "" where there can.
        trouble: why no machine can run; "" where one can.
        report: of the host, see `HostReport.to_json`.
    """

    memory_mib: int
    accelerator: str
    no_lab: str
    trouble: str = ""
    report: dict[str, Any] = field(default_factory=dict)


def own_card() -> HostCard:
    """Return the card of this host.

    Raises:
        InfrastructureError: nothing can be kept here.
    """
    return HostCard(
        name=socket.gethostname(),
        host=Arrivals().host,
        version=tailstest.__version__,
        code=_code(),
    )


@cache
def _code() -> str:
    """Return the digest of the code of this process: files may be changed while it runs."""
    return base_of({}, [PACKAGE, *map(bundled, BUNDLED)])


def ask_abilities(settings: Settings) -> Abilities:
    """Find out what this host can do, in a process of its own: libvirt leaves threads behind."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _START.format(path=sys.path)],
            input=settings.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        return Abilities(**json.loads(done.stdout))
    except (OSError, subprocess.TimeoutExpired) as error:
        return Abilities(0, "", "", trouble=f"the host could not be examined: {error}")
    except (ValueError, TypeError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Abilities(0, "", "", trouble=f"the host could not be examined: {said[:500]}")


def main() -> None:
    """Examine this host; settings come on standard input, the answer goes to standard output."""
    settings = Settings.model_validate_json(sys.stdin.read())
    memory = MemoryClaims(load_settings().memory_limit).capacity
    try:
        report = examine_host(settings)
        found = Abilities(memory, report.accelerator, why_no_lab(), report=report.to_json())
    except TailstestError as error:
        found = Abilities(memory, "", why_no_lab(), trouble=error.message)
    print(json.dumps(found.__dict__))
