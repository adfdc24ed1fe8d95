"""A room imports only from rooms below it (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import tailstest

LEVELS = {
    "core": 0,
    "hypervisor": 1,
    "screen": 2,
    "input": 2,
    "media": 2,
    "guest": 2,
    "lab": 2,
    "machine": 3,
    "results": 4,
    "suite": 5,
    "cli": 6,
}
PACKAGE = Path(tailstest.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "tailstest" and len(parts) > 1 else None


def imported_rooms(file: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            rooms.add(room_of(node.module or ""))
        elif isinstance(node, ast.Import):
            rooms |= {room_of(alias.name) for alias in node.names}
    return {room for room in rooms if room is not None}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_below(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0]
    if own not in LEVELS:
        assert imported_rooms(file) == set()
        return
    for room in imported_rooms(file) - {own}:
        assert LEVELS[room] < LEVELS[own], f"{file}: {own} must not import {room}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_the_waiting_helper_sleeps(file: Path) -> None:
    if file == PACKAGE / "core" / "deadline.py":
        return
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"time.sleep", "sleep"}, f"{file}:{node.lineno}: {called}"
