"""How the demo image empties what is kept in memory; the rest only a machine can show."""

import pytest
from demo_programs import demo_program


@pytest.fixture
def forget():
    return demo_program("forget.py")


def test_files_are_emptied_also_those_that_somebody_has_open(forget, tmp_path):
    place = tmp_path / "memory"
    (place / "home" / "live").mkdir(parents=True)
    letter = place / "home" / "live" / "letter"
    letter.write_text("dear diary")
    (place / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").write_text("kept")
    with letter.open() as opened:
        forget.empty(str(place))
        assert opened.read() == ""
    assert not letter.exists()
    assert not (place / "link").is_symlink()
    assert (tmp_path / "kept").read_text() == "kept"
    forget.empty(str(tmp_path / "missing"))


def test_other_file_systems_are_left_alone(forget, tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("kept")
    monkeypatch.setattr(forget, "is_on", lambda _device, path: not path.endswith("below"))
    forget.empty(str(tmp_path))
    assert (tmp_path / "below" / "file").read_text() == "kept"
