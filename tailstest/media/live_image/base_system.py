"""The base of a live image: Debian packages, the recipe's files, one squashfs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tailstest.media.live_image.recipe import LiveRecipe
from tailstest.media.live_image.tool import run_tool
from tailstest.media.live_image.tree import write_tar

SQUASHFS, KERNEL, INITRD, MANIFEST = "base.squashfs", "vmlinuz", "initrd.img", "manifest.txt"

#: zstd at level 3 makes the image a fifth larger than at 15, in a twentieth of the time.
#: The root folder is not in the archives that are packed: it would belong to whoever builds.
SQUASHFS_OPTIONS = (
    *("-noappend", "-no-progress", "-comp", "zstd", "-Xcompression-level", "3"),
    *("-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"),
)

#: Beginnings of mmdebstrap's messages that say which stage it is in.
_STAGES = {
    "I: running apt-get update": "reading the mirrors' indices",
    "I: downloading packages": "downloading packages",
    "I: installing essential packages": "installing the essential packages",
    "I: installing remaining packages": "installing all other packages",
    "I: running --customize-hook in shell": "making it a live system",
    "I: creating tarball": "compressing the file system",
}


def build_base(
    recipe: LiveRecipe,
    folder: Path,
    debs: Path,
    versions: Sequence[str],
    *,
    epoch: int,
    say: Callable[[str], None],
) -> None:
    """Make the base in `folder`: file system, kernel, initial RAM disk, list of packages.

    Args:
        debs: cache of packages; filled, and emptied of what is no longer used.
        versions: what apt will install, for tidying the cache.
        epoch: SOURCE_DATE_EPOCH.

    Raises:
        InfrastructureError: a program failed; quotes it.
    """
    for part in ("setup", "base"):
        write_tar(recipe.folder / part, folder / f"{part}.tar", epoch)
    debs.mkdir(mode=0o755, exist_ok=True)
    inside = f"sh /tmp/customize.sh {recipe.version} {epoch}"
    collect = "cp /boot/vmlinuz-* /tmp/kernel && cp /boot/initrd.img-* /tmp/initrd"
    hooks = [
        f"--setup-hook=tar-in {folder}/setup.tar /",
        '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
        f"--setup-hook=sync-in {debs} /var/cache/apt/archives/",
        f"--customize-hook=sync-out /var/cache/apt/archives {debs}",
        f"--customize-hook=tar-in {folder}/base.tar /",
        f"--customize-hook=upload {recipe.folder}/customize.sh /tmp/customize.sh",
        f'--customize-hook=chroot "$1" {inside}',
        f"--customize-hook=chroot \"$1\" sh -c '{collect}'",
        f"--customize-hook=download /tmp/kernel {folder}/{KERNEL}",
        f"--customize-hook=download /tmp/initrd {folder}/{INITRD}",
        f"--customize-hook=download /usr/share/demo-manifest {folder}/{MANIFEST}",
        # What apt needs to install more is of no use in a system that forgets everything.
        '--customize-hook=rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/* '
        '"$1"/var/lib/apt/lists/*',
        # Copied from the cache, it belongs to whoever builds.
        '--customize-hook=chown 0:0 "$1"/var/cache/apt/archives',
        # /tmp is emptied by mmdebstrap when it is done; until then the settings of its apt are
        # there, and an apt without them tidies up on this host.
        '--customize-hook=rm -rf "$1"/boot/* "$1"/vmlinuz* "$1"/initrd.img*',
    ]

    told: list[str] = []

    def report(line: str) -> None:
        for beginning, stage in _STAGES.items():
            if line.startswith(beginning) and stage not in told:
                told.append(stage)
                say(stage)

    run_tool(
        [
            "mmdebstrap",
            "--verbose",
            "--variant=minbase",
            "--format=tar",
            # Packages from the cache are there before the download, and stay for the cache.
            "--skip=download/empty,essential/unlink",
            f"--include={','.join(recipe.packages)}",
            *hooks,
            recipe.suite,
            "-",
            *recipe.mirrors,
        ],
        pipe_to=["mksquashfs", "-", str(folder / SQUASHFS), "-tar", *SQUASHFS_OPTIONS],
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
        on_line=report,
    )
    for part in ("setup", "base"):
        (folder / f"{part}.tar").unlink()
    _tidy(debs, versions)


def _tidy(debs: Path, versions: Sequence[str]) -> None:
    """Drop packages of versions that are no longer wanted; apt writes ":" as "%3a"."""
    wanted = {
        f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
        for name, version, architecture in (line.split() for line in versions)
    }
    for file in debs.iterdir():
        if file.is_dir():
            shutil.rmtree(file, ignore_errors=True)
        elif file.name not in wanted:
            file.unlink()
