"""The program that runs inside the guest; a single file that imports nothing of this project."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: What to copy into the guest and start there as root: `python3 tailstest_agent.py PORT`.
AGENT_FILE = Path(__file__).with_name("tailstest_agent.py")


def agent_digest() -> str:
    """Return the SHA-256 of our agent, to compare with `AgentInfo.sha256` of a running one."""
    return hashlib.sha256(AGENT_FILE.read_bytes()).hexdigest()
