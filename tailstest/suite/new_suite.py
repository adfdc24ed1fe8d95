"""A new suite: the files that `tailstest init` writes."""

from __future__ import annotations

from pathlib import Path

from tailstest.core.errors import UsageError

FILES = {
    "features/first.feature": """\
Feature: My first scenario
  A rescue disk that comes as a Debian package is booted, looked at and used.

  Scenario: The boot menu waits for a decision
    Given the image "grub-rescue"
    And a BIOS machine
    When I start the machine from a DVD
    Then I see "GNU/Linux"
    When I press "Down"
    Then "will be executed automatically" disappears
""",
    "steps/my_steps.py": '''\
"""Steps of this suite. The bundled ones are there without an import: see `tailstest steps`."""
''',
    "images/.gitkeep": "",
    "tailstest.toml": """\
# Settings of this suite; every one may be left out. See docs/writing-scenarios.md.
# keyboard_layout = "us"
# default_deadline = 30.0   # seconds, stretched on a slow host
""",
    ".gitignore": "runs/\n",
}


def create_suite(folder: Path) -> list[Path]:
    """Write the files of a new suite below `folder`.

    Returns:
        The files written.

    Raises:
        UsageError: `folder` already holds a suite, or cannot be written.
    """
    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder / taken[0]} already exists; nothing was written",
            hint="choose a folder that holds no suite yet",
        )
    written = []
    for name, content in FILES.items():
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{file}: cannot be written: {error.strerror}") from error
        written.append(file)
    return written
