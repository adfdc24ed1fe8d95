"""What is said of an attempt that was ended from outside, before it could say anything itself."""

from __future__ import annotations

from enum import StrEnum


class CutOff(StrEnum):
    """Each member is the whole error; `results.suspect_signs` knows all of them by it."""

    INTERRUPTED = "interrupted"  # by a person, or by whoever ends the run
    RUN_ENDED = "the run ended while this was going on"
    PROCESS_LOST = "the process that ran it was lost"
    PROCESSES_KILLED = "each process that ran it was killed"
    WORKERS_LOST = "each worker that ran it was lost"
    SCHEDULER_LOST = "the connection to the scheduler was lost"
