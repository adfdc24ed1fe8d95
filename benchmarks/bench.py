"""What machines of a benchmark stand on: a connection of their own and a folder that goes away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.host_report import examine_host
from tailstest.machine.bench import Bench
from tailstest.media.media_folder import MediaFolder
from tailstest.screen.library import ReferenceLibrary


@contextmanager
def opened_bench(settings: Settings) -> Iterator[Bench]:
    """Yield a bench without reference images; nothing of it is left afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="tailstest-benchmark-") as folder,
        Hypervisor.open(settings, Path(folder)) as hypervisor,
    ):
        evidence = EvidenceFolder(Path(folder))
        yield Bench(
            hypervisor=hypervisor,
            host=examine_host(settings),
            settings=settings,
            events=Events(),
            evidence=evidence,
            media=MediaFolder(evidence, hypervisor.lease.own),
            library=ReferenceLibrary([]),
        )
