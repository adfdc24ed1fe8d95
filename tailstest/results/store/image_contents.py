"""What an image is made of, for telling two images apart: packages, files, kernel."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from tailstest.results.store.tables import image_contents, image_files, image_packages


@dataclass
class ImageContents:
    """What is known of an image.

    Attributes:
        kernel: version of the Linux kernel, "" when none was found.
        packages: name to version.
        packages_from: the list they were read from, "" without one.
        files: path to size in bytes and SHA-256 in hexadecimal ("" for large ones).
    """

    kernel: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    packages_from: str = ""
    files: dict[str, tuple[int, str]] = field(default_factory=dict)


def write_contents(connection: Connection, image: int, found: ImageContents) -> None:
    """Write what an image is made of, once: of writers at the same time the first one does it."""
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    wanted = kind.insert(image_contents).on_conflict_do_nothing(index_elements=["image"])
    own = wanted.values(image=image, kernel=found.kernel, packages_from=found.packages_from)
    if connection.execute(own.returning(image_contents.c.image)).first() is None:
        return
    packages = [
        {"image": image, "name": name, "version": version}
        for name, version in found.packages.items()
    ]
    files = [
        {"image": image, "path": path, "size": size, "digest": digest}
        for path, (size, digest) in found.files.items()
    ]
    for table, rows in ((image_packages, packages), (image_files, files)):
        if rows:
            connection.execute(insert(table), rows)


def contents_of(connection: Connection, image: int) -> ImageContents | None:
    """Return what the store knows of an image; None when it was never read."""
    known = connection.execute(
        select(image_contents).where(image_contents.c.image == image)
    ).first()
    if known is None:
        return None
    packages = select(image_packages.c.name, image_packages.c.version)
    files = select(image_files.c.path, image_files.c.size, image_files.c.digest)
    return ImageContents(
        kernel=known.kernel,
        packages_from=known.packages_from,
        packages={
            row.name: row.version
            for row in connection.execute(packages.where(image_packages.c.image == image))
        },
        files={
            path: (size, digest)
            for path, size, digest in connection.execute(files.where(image_files.c.image == image))
        },
    )
