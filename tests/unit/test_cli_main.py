"""The last resort of the command line: what nobody has thought of ends in words, too."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import tailstest.cli.main as command_line
from tailstest.core.errors import InfrastructureError


def failing(error: BaseException) -> Callable[..., int]:
    def run(**_options: object) -> int:
        raise error

    return run


def status(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    group = SimpleNamespace(main=failing(error))
    monkeypatch.setattr(command_line, "tailstest", group)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_mistake_of_ours_is_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "state_folder", lambda: tmp_path)
    assert status(monkeypatch, ValueError("unthinkable")) == 3
    assert "unthinkable" in (tmp_path / "last-crash.txt").read_text(encoding="utf-8")
    said = capsys.readouterr().err
    assert "this is a bug in tailstest" in said and "Traceback" not in said


@pytest.mark.parametrize("where", ["there is no folder", "it cannot be made"])
def test_a_mistake_that_no_file_can_be_written_about_is_told_where_it_is_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    def place() -> Path:
        if where == "it cannot be made":
            raise InfrastructureError("no space")
        return tmp_path / "gone"

    monkeypatch.setattr(command_line, "state_folder", place)
    assert status(monkeypatch, ValueError("unthinkable")) == 3
    said = capsys.readouterr().err
    assert "this is a bug in tailstest" in said and "unthinkable" in said


def test_trouble_of_the_host_without_a_reason_of_the_system_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, ConnectionError("the scheduler is gone")) == 3
    assert capsys.readouterr().err == "tailstest: the host: the scheduler is gone\n"
