"""What is left to the nights is seen at once when what it is made of has changed."""

import shutil

import pytest
from nightly import MADE_OF, ROOT, is_due, made_of


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    for folder in MADE_OF:
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "environment.py", root)
    return root


def test_it_is_due_until_it_has_passed(checkout, tmp_path):
    passed_with = tmp_path / "passed"
    assert is_due(checkout, passed_with)
    passed_with.write_text(made_of(checkout) + "\n")
    assert not is_due(checkout, passed_with)
    passed_with.write_text("")
    assert is_due(checkout, passed_with)


@pytest.mark.parametrize(
    "file",
    [
        "environment.py",
        "features/storage/upgrading.feature",
        "steps/media_steps.py",
        "images/demo/recipe/recipe.toml",
        "images/demo/profile.toml",
        "vm-templates/domain.xml.j2",
    ],
)
def test_it_is_due_when_what_it_is_made_of_changes(checkout, tmp_path, file):
    passed_with = tmp_path / "passed"
    passed_with.write_text(made_of(checkout))
    with (checkout / file).open("a", encoding="utf-8") as changed:
        changed.write("\n")
    assert is_due(checkout, passed_with)


def test_what_python_leaves_behind_is_no_change(checkout, tmp_path):
    passed_with = tmp_path / "passed"
    passed_with.write_text(made_of(checkout))
    (checkout / "steps/__pycache__").mkdir(exist_ok=True)
    (checkout / "steps/__pycache__/media_steps.cpython-311.pyc").write_bytes(b"x")
    assert not is_due(checkout, passed_with)
