"""What a scenario took from its suite: files that changed since then, and other copies of it."""

import pytest

from tailstest.core.errors import UsageError
from tailstest.media.image_file import Digests
from tailstest.suite.checkpoints.state import CheckpointStale
from tailstest.suite.suite_files import SuiteFiles


@pytest.fixture
def suite(tmp_path):
    return made(tmp_path / "one")


def made(folder):
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "index.html").write_text("hello")
    (folder / "setup.sh").write_text("echo 1")
    return folder


def of(suite):
    return SuiteFiles(suite, Digests())


def used(suite):
    files = of(suite)
    files.use(suite / "setup.sh")
    files.use(suite / "site")
    return files


def test_files_are_called_by_their_path_in_the_suite(suite, tmp_path):
    files = used(suite)
    assert sorted(files.used) == ["setup.sh", "site"]
    assert files.path_of("site") == suite / "site"
    assert files.name_of(tmp_path / "out") == str(tmp_path / "out")
    assert files.path_of(str(tmp_path / "out")) == tmp_path / "out"


def test_what_is_as_it_was_is_taken_up_in_any_copy_of_the_suite(suite, tmp_path):
    then = used(suite).used
    now = of(made(tmp_path / "two"))
    now.take_up(then)
    assert now.used == then


@pytest.mark.parametrize("name", ["setup.sh", "site/index.html"])
def test_what_changed_makes_a_checkpoint_stale(suite, name):
    files = used(suite)
    then = files.used
    (suite / name).write_text("another")
    assert not files.are_as_used
    with pytest.raises(CheckpointStale, match=f"^{name.partition('/')[0]} is not what it was"):
        of(suite).take_up(then)
    (suite / name).unlink()
    with pytest.raises(CheckpointStale):
        of(suite).take_up(then)


def test_a_file_outside_of_the_suite_is_compared_too(suite, tmp_path):
    files, outside = of(suite), tmp_path / "out"
    outside.write_text("a")
    files.use(outside)
    of(suite).take_up(files.used)
    outside.write_text("b")
    with pytest.raises(CheckpointStale):
        of(suite).take_up(files.used)


def test_no_content_stands_for_a_file_that_was_used_before_and_after_a_change(suite):
    files = used(suite)
    (suite / "setup.sh").write_text("echo 2")
    files.use(suite / "setup.sh")
    assert not files.are_as_used
    files.clear()
    assert files.used == {}


def test_a_file_that_nobody_may_read_is_told(suite):
    with pytest.raises(UsageError, match=r"gone cannot be read: No such file"):
        of(suite).use(suite / "gone")


def test_images_are_found_where_they_are_now(suite, tmp_path):
    (tmp_path / "real.iso").touch()
    (suite / "a.iso").touch()
    (suite / "link.iso").symlink_to(tmp_path / "real.iso")
    places = of(suite).places_of([suite / "a.iso", suite / "link.iso", tmp_path / "real.iso"])
    assert of(suite).moved(places) == {}
    two = made(tmp_path / "two")
    (two / "link.iso").symlink_to(tmp_path / "real.iso")
    assert of(two).moved(places) == {
        str(suite / "a.iso"): two / "a.iso",
        str(suite / "link.iso"): two / "link.iso",
    }
