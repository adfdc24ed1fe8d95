"""Recipes of live images, and the parts of building one that need no network."""

import os
import re
import shutil
import tarfile
import urllib.error
from pathlib import Path

import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.core.paths import bundled
from tailstest.media.live_image import base_system, packages, tool
from tailstest.media.live_image.builder import LiveImageBuilder
from tailstest.media.live_image.layer import edited
from tailstest.media.live_image.live_iso import menu, volume_name
from tailstest.media.live_image.recipe import load_recipe, tree_digest
from tailstest.media.live_image.tree import write_tar

DEMO = bundled("images") / "demo" / "recipe"


@pytest.fixture
def recipe(tmp_path):
    """Return a function that loads a copy of the demo's recipe after some replacements."""
    folder = tmp_path / "recipe"
    shutil.copytree(DEMO, folder)

    def changed(**replacements):
        file = folder / "recipe.toml"
        text = file.read_text()
        for old, new in replacements.values():
            assert old in text
            text = text.replace(old, new, 1)
        file.write_text(text)
        return load_recipe(folder)

    return changed


def test_every_edit_of_the_bundled_recipe_fits_its_file():
    recipe = load_recipe(DEMO)
    with_edits = [name for name, change in recipe.layer.items() if change.edits]
    assert with_edits
    for name in with_edits:
        for edit in recipe.layer[name].edits:
            text = edited(recipe, name, [edit])
            assert edit.by in text
            assert text != (DEMO / "base" / edit.file).read_text()
    assert "broken-button" in recipe.layers_of("broken-button")
    assert "agent" not in recipe.layers_of("no-agent")


def test_an_edit_that_no_longer_fits_is_refused(recipe):
    loaded = recipe()
    welcome = loaded.folder / "base/usr/lib/demo/welcome"
    welcome.write_text(welcome.read_text().replace("set_can_default", "set_something"))
    with pytest.raises(UsageError, match=r"layer.broken-button.*stands 0 times"):
        edited(loaded, "broken-button", list(loaded.layer["broken-button"].edits))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('suite = "bookworm"', 'suit = "bookworm"', "suit"),
        ('title = "tailstest demo"', 'title = "a; rm -rf /"', "title"),
        ('version = "1.0"', 'version = "$(id)"', "version"),
        ('"mousepad"', '"--hook=x"', "packages"),
        ("date = 2026-11-01", 'date = "soon"', "date"),
        ('layers = ["agent", "broken-dns"]', 'layers = ["nothing"]', "'nothing'"),
    ],
)
def test_a_wrong_recipe_is_refused_with_file_and_key(recipe, old, new, said):
    with pytest.raises(UsageError, match=said) as caught:
        recipe(change=(old, new))
    assert "recipe.toml" in str(caught.value)


def test_a_folder_without_recipe_and_an_unknown_variant_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--recipe"):
        load_recipe(tmp_path)
    with pytest.raises(UsageError, match=r"there are: .*broken-button"):
        load_recipe(DEMO).layers_of("broken-buton")


def test_the_digest_follows_content_and_nothing_else(tmp_path):
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub/file"
    file.write_text("one")
    file.chmod(0o644)
    before = tree_digest(tmp_path)
    os.utime(file, (1, 1))
    file.chmod(0o600)
    assert tree_digest(tmp_path) == before
    file.chmod(0o755)
    assert tree_digest(tmp_path) != before
    file.chmod(0o644)
    file.write_text("two")
    assert tree_digest(tmp_path) != before


def test_the_base_depends_on_what_is_in_it_and_not_on_the_menu(recipe):
    before = recipe().base_digest()
    changed = recipe(change=('parameters = "boot=live', 'parameters = "boot=live debug'))
    assert changed.base_digest() == before
    assert "debug" in menu(changed)
    assert recipe(change=('"lxterminal"', '"xterm"')).base_digest() != before


def test_a_variant_may_have_kernel_parameters_of_its_own(recipe):
    loaded = recipe()
    assert "init_on_free=1" in menu(loaded)
    assert menu(loaded, "broken-button") == menu(loaded)
    assert "init_on_free" not in menu(loaded, "broken-memory")
    assert "boot=live norandmaps mitigations=off quiet" in menu(loaded, "broken-memory")


def test_variants_can_be_put_together(recipe):
    loaded = recipe()
    both = "broken-dns+broken-memory"
    assert loaded.layers_of(both) == ("agent", "broken-dns")
    assert loaded.layers_of("broken-dns+serial-login") == ("broken-dns", "root-password")
    assert menu(loaded, both) == menu(loaded, "broken-memory")
    with pytest.raises(UsageError, match=r"no variant 'broken-dn'.*broken-dns"):
        loaded.layers_of("broken-memory+broken-dn")
    with pytest.raises(UsageError, match=r"more than one of 'broken-memory.serial-login'"):
        loaded.parameters_of("broken-memory+serial-login")


def test_two_variants_that_change_one_file_cannot_be_put_together(recipe):
    loaded = recipe(change=("etc/systemd/network/20-demo.network", "etc/os-release"))
    with pytest.raises(UsageError, match=r"'broken-version' and 'broken-name'.*etc/os-release"):
        loaded.layers_of("broken-version+broken-name")
    assert loaded.layers_of("broken-name") == ("agent", "broken-name")


def test_within_one_variant_a_layer_may_lie_over_another_ones_file(recipe):
    loaded = recipe(
        change=('layers = ["agent", "broken-name"]', 'layers = ["broken-version", "own"]'),
        own=(
            "[layer.broken-application]",
            '[layer.own]\nremove = ["etc/os-release"]\n\n[layer.broken-application]',
        ),
    )
    assert loaded.layers_of("broken-name") == ("broken-version", "own")
    assert loaded.layers_of("broken-name+no-agent") == ("broken-version", "own")


def test_archives_are_the_same_whenever_they_are_made(tmp_path):
    folder = tmp_path / "tree"
    (folder / "etc/sudoers.d").mkdir(parents=True)
    (folder / "etc/sudoers.d/x").write_text("x")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o700)
    (folder / "link").symlink_to("run")
    write_tar(folder, tmp_path / "1.tar", 1000)
    os.utime(folder / "run", (5, 5))
    write_tar(folder, tmp_path / "2.tar", 1000)
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    with tarfile.open(tmp_path / "1.tar") as archive:
        modes = {member.name: (member.mode, member.uid) for member in archive}
    assert modes["run"] == (0o755, 0)
    assert modes["etc/sudoers.d/x"] == (0o440, 0)


def test_the_volume_name_is_one_that_iso_9660_allows():
    assert volume_name(load_recipe(DEMO)) == "TAILSTEST_DEMO_1_0"


def test_a_failed_program_is_quoted_whichever_of_two_it_is():
    with pytest.raises(InfrastructureError, match="no such mirror"):
        tool.run_tool(["sh", "-c", "echo no such mirror >&2; exit 3"], environment={})
    with pytest.raises(InfrastructureError, match=r"(?s)status 4.*sh said.*disk full"):
        tool.run_tool(
            ["sh", "-c", "exit 0"],
            pipe_to=["sh", "-c", "echo disk full >&2; exit 4"],
            environment={},
        )


def test_a_program_that_never_ends_is_ended_with_what_it_started(tmp_path):
    note = tmp_path / "pid"
    script = f"trap '' INT; sleep 1000 & echo $! > {note}; wait"
    with pytest.raises(InfrastructureError, match="did not end within"):
        tool.run_tool(["sh", "-c", script], environment={}, limit=4.0, grace=0.2)
    state = Path(f"/proc/{note.read_text().strip()}/stat")
    assert poll(lambda: not state.exists() or ") Z " in state.read_text() or None, Deadline(30.0))


def test_without_network_the_versions_known_from_before_are_used(tmp_path, monkeypatch):
    recipe, said = load_recipe(DEMO), []

    def unreachable(_recipe):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(packages, "_index_digest", unreachable)
    with pytest.raises(InfrastructureError, match="no route to host"):
        packages.package_versions(recipe, tmp_path, said.append)
    monkeypatch.setattr(packages, "_index_digest", lambda _recipe: "monday")
    monkeypatch.setattr(packages, "_ask_apt", lambda _recipe: ["bash 5 amd64"])
    assert packages.package_versions(recipe, tmp_path, said.append) == ["bash 5 amd64"]
    monkeypatch.setattr(packages, "_ask_apt", lambda _recipe: ["bash 6 amd64"])
    assert packages.package_versions(recipe, tmp_path, said.append) == ["bash 5 amd64"]
    monkeypatch.setattr(packages, "_index_digest", unreachable)
    assert packages.package_versions(recipe, tmp_path, said.append) == ["bash 5 amd64"]
    assert "cannot be reached" in said[-1]
    monkeypatch.setattr(packages, "_index_digest", lambda _recipe: "tuesday")
    assert packages.package_versions(recipe, tmp_path, said.append) == ["bash 6 amd64"]


def test_a_missing_program_is_named_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"mksquashfs.*\n.*squashfs-tools"):
        LiveImageBuilder(load_recipe(DEMO), DEMO / "grub.cfg", cache=tmp_path).build()


def test_a_wrong_source_date_epoch_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="yesterday"):
        LiveImageBuilder(load_recipe(DEMO), DEMO / "grub.cfg", cache=tmp_path)


def test_a_failed_build_leaves_nothing_that_could_be_taken_for_an_image(monkeypatch, tmp_path):
    recipe = load_recipe(DEMO)
    left = tmp_path / "building-killed"
    left.mkdir()
    monkeypatch.setattr(
        "tailstest.media.live_image.builder.package_versions", lambda *_args: ["bash 5 amd64"]
    )

    def fail(_recipe, folder, *_args, **_named):
        (folder / "base.squashfs").touch()
        raise InfrastructureError("the disk is full")

    monkeypatch.setattr("tailstest.media.live_image.builder.build_base", fail)
    with pytest.raises(InfrastructureError, match="disk is full"):
        LiveImageBuilder(recipe, DEMO / "grub.cfg", cache=tmp_path).build()
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


def test_nothing_takes_mmdebstrap_s_own_files_away_while_it_works(tmp_path, monkeypatch):
    """Without the settings in /tmp of the new system, its apt emptied the host's package lists."""
    commands = []
    monkeypatch.setattr(base_system, "run_tool", lambda words, **_options: commands.append(words))
    recipe = load_recipe(bundled("images") / "demo" / "recipe")
    base_system.build_base(recipe, tmp_path, tmp_path / "debs", [], epoch=1, say=lambda _text: None)
    (words,) = commands
    hooks = [word for word in words if word.startswith("--customize-hook")]
    assert hooks
    assert not [hook for hook in hooks if re.search(r"rm .*/tmp(/\*)?(\s|\"|$)", hook)]
