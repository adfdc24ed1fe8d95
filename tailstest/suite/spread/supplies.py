"""What workers on other hosts need for a run, gathered on the client."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.core.paths import bundled
from tailstest.machine.profile import find_image, load_profiles
from tailstest.media.image_file import Digests, digest_of
from tailstest.suite.assembly import RunOrder
from tailstest.suite.fitting import images_named_by
from tailstest.suite.patch_sources import Patch
from tailstest.suite.plan import Plan
from tailstest.suite.spread.host_card import BUNDLED, PACKAGE
from tailstest.suite.spread.remote_place import SentImage, Supplies
from tailstest.suite.spread.suite_archive import pack_suite, paths_in_suite

#: Bytes of all files that are changed late in guests, which travel with the order.
MAX_PATCHES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Packed:
    """What is sent.

    Attributes:
        supplies: tells each worker what it gets.
        files: SHA-256 to file.
    """

    supplies: Supplies
    files: Mapping[str, Path]


@contextmanager
def packed(order: RunOrder, plan: Plan) -> Iterator[Packed]:
    """Gather suite and images of a run.

    Every image that a scenario names is sent, so that all hosts test the same bytes; one that
    cannot be found or made here is left to the hosts.

    Raises:
        UsageError: the suite is too large, or a path is not in it.
        InfrastructureError: a file cannot be read, or there is no space.
    """
    root = plan.suite.root
    paths: dict[str, Path] = {}
    images = []
    digests = Digests()
    for wanted in _wanted(order, plan):
        try:
            found, profile = find_image(wanted, load_profiles(plan.suite.images_folders), root)
            path = found.resolve()
            image = SentImage(wanted, digests.of(path), found.name, profile.name if profile else "")
        except TailstestError:
            continue  # the scenario will say so
        except OSError as error:
            raise InfrastructureError(f"cannot read {wanted}: {error.strerror}") from error
        images.append(image)
        paths[image.digest] = path
    options = replace(
        order.options,
        paths=paths_in_suite(order.options.paths, root),
        workers=1,
        shard="",
        durations=None,
    )
    with tempfile.TemporaryDirectory(prefix="tailstest-suite-") as folder:
        archive = Path(folder, "suite.tar")
        # What comes with tailstest is the same everywhere, and would be there twice.
        there = [bundled(name) for name in BUNDLED]
        pack_suite(root, archive, leave_out=[*paths.values(), *there, PACKAGE])
        digest = digest_of(archive)
        sent = replace(
            order,
            options=options,
            patches=tuple(map(_with_content, _checked(order.patches))),
            folder=Path(),
        )
        yield Packed(Supplies(sent, digest, tuple(images)), {digest: archive, **paths})


def _wanted(order: RunOrder, plan: Plan) -> list[str]:
    """Return the names of all images of a plan, that under test first."""
    names = [order.image] if order.image is not None else []
    for scenario in plan.scenarios:
        names += [image or "" for image in images_named_by(scenario, plan).values()]
    return [each for each in dict.fromkeys(names) if each]


def _checked(patches: tuple[Patch, ...]) -> tuple[Patch, ...]:
    size = 0
    for patch in patches:
        if isinstance(patch.content, Path):
            size += patch.content.stat().st_size if patch.content.is_file() else 0
        elif patch.content is not None:
            size += len(patch.content)
    if size > MAX_PATCHES:
        raise UsageError(
            f"the late patches have {size // 2**20} MiB, too much to be sent to workers"
            f" ({MAX_PATCHES // 2**20} MiB)"
        )
    return patches


def _with_content(patch: Patch) -> Patch:
    if not isinstance(patch.content, Path):
        return patch
    try:
        return replace(patch, content=patch.content.read_bytes())
    except OSError as error:
        raise InfrastructureError(f"cannot read {patch.content}: {error.strerror}") from error
