"""Which versions of its packages a recipe would get today."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.media.live_image.recipe import LiveRecipe
from tailstest.media.live_image.tool import run_tool

#: Seconds for one answer of a mirror, and the largest InRelease read (Debian's has 150 kB).
_MIRROR_LIMIT, _LARGEST = 20, 4_000_000

#: What `apt-get --simulate` says of a package that it would install.
_INSTALLED = re.compile(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)")

_MIRROR = re.compile(r"^deb(?: \[[^\]]*\])? (https?://\S+) (\S+)(?: \S+)+$")


def package_versions(recipe: LiveRecipe, cache: Path, say: Callable[[str], None]) -> list[str]:
    """Return "name version architecture" of all packages that would be installed today, sorted.

    apt is asked only when a mirror's signed index (InRelease) changed since the last time. A mirror
    that cannot be reached counts as unchanged, so that what was built once can be used offline.

    Args:
        cache: folder of the answers.
        say: told what takes time, and what could not be asked.

    Raises:
        UsageError: a mirror's line is not understood.
        InfrastructureError: the mirrors cannot be reached and nothing is known from before.
    """
    wanted = repr((recipe.suite, recipe.mirrors, recipe.packages))
    known = cache / f"packages-{hashlib.sha256(wanted.encode()).hexdigest()[:32]}.json"
    before = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else None
    try:
        index = _index_digest(recipe)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        if before is None:
            raise InfrastructureError(
                f"cannot ask the mirrors for packages: {error}",
                hint="building an image needs the network once; afterwards the cache is used",
            ) from error
        say("the mirrors cannot be reached; going on with the package versions known from before")
        return list(before["packages"])
    if before is not None and before["index"] == index:
        return list(before["packages"])
    say("asking apt for the versions of all packages")
    packages = _ask_apt(recipe)
    written = known.with_suffix(".new")
    written.write_text(json.dumps({"index": index, "packages": packages}), encoding="utf-8")
    written.rename(known)
    return packages


def _index_digest(recipe: LiveRecipe) -> str:
    state = hashlib.sha256()
    for line in recipe.mirrors:
        matched = _MIRROR.match(line)
        if matched is None:
            raise UsageError(
                f"{recipe.folder}: mirrors: cannot understand {line!r}",
                hint='a mirror reads "deb http://deb.debian.org/debian bookworm main"',
            )
        address = f"{matched[1].rstrip('/')}/dists/{matched[2]}/InRelease"
        with urllib.request.urlopen(address, timeout=_MIRROR_LIMIT) as answer:
            state.update(answer.read(_LARGEST))
    return state.hexdigest()


def _ask_apt(recipe: LiveRecipe) -> list[str]:
    lines = run_tool(
        [
            "mmdebstrap",
            "--simulate",
            "--verbose",
            "--variant=minbase",
            f"--include={','.join(recipe.packages)}",
            recipe.suite,
            "/dev/null",
            *recipe.mirrors,
        ],
        environment={},
    )
    found = {" ".join(matched.groups()) for line in lines if (matched := _INSTALLED.match(line))}
    if not found:
        raise InfrastructureError("apt told no package that it would install")
    return sorted(found)
