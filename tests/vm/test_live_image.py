"""The demo live image as it is built: what it can boot from, and whether it is reproducible."""

import hashlib
import shutil
import subprocess

import pytest

from tailstest.core.paths import bundled
from tailstest.guest.agent import AGENT_FILE
from tailstest.machine.profile import live_builder
from tailstest.media.boot_report import inspect_image
from tailstest.media.live_image.layer import build_layer
from tailstest.media.live_image.live_iso import assemble
from tailstest.media.live_image.recipe import load_recipe

pytestmark = pytest.mark.vm

RECIPE = bundled("images") / "demo" / "recipe"
#: The largest image that is still quick to fetch and to keep, in bytes.
LARGEST = 250_000_000


@pytest.fixture(scope="module")
def image():
    return live_builder(RECIPE).build()


def extracted(iso, target):
    """Unpack the folder live/ of an ISO as a base, and return it."""
    command = ["xorriso", "-osirrox", "on", "-indev", str(iso), "-extract", "/live", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    (target / "10-base.squashfs").rename(target / "base.squashfs")
    return target


def test_it_boots_from_everything_and_is_small(image):
    ways = inspect_image(image).ways
    assert len(ways) == 4
    assert all(way.possible for way in ways.values()), ways
    assert image.stat().st_size < LARGEST


def test_nothing_is_built_when_nothing_changed(image):
    said = []
    before = image.stat().st_ino
    assert live_builder(RECIPE, said.append).build() == image
    assert said == []
    assert image.stat().st_ino == before


def test_putting_it_together_twice_gives_the_same_bytes(image, tmp_path):
    recipe = load_recipe(RECIPE)
    base = extracted(image, tmp_path / "base")
    digests = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        layer = folder / "agent.squashfs"
        build_layer(recipe, "agent", AGENT_FILE, layer, recipe.epoch)
        iso = folder / "image.iso"
        assemble(recipe, base, [layer], work=folder, target=iso, epoch=recipe.epoch)
        with iso.open("rb") as opened:
            digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
        shutil.rmtree(folder)
    assert digests[0] == digests[1]
    with image.open("rb") as opened:
        assert hashlib.file_digest(opened, "sha256").hexdigest() == digests[0]


def test_a_variant_is_another_image_over_the_same_base(image):
    broken = live_builder(RECIPE).build("broken-application")
    assert broken != image
    listed = subprocess.run(
        ["xorriso", "-indev", str(broken), "-find", "/live", "-name", "*.squashfs"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "20-agent.squashfs" in listed
    assert "30-broken-application.squashfs" in listed
