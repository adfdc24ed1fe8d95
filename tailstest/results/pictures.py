"""Pictures for pages that carry everything in themselves: small, bounded, each stored once."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2s
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
from PIL import Image

from tailstest.results.run_folder import RunFolder

#: A file up to this many bytes goes into the page as it is: text screens as PNG are smaller (7 to
#: 18 KB at 720x400 and 1024x768) and sharper than any reduced picture of them.
AS_IT_IS = 20_000
#: The same for the pictures of a failure, where every pixel may matter (a graphical installer
#: at 1024x768 has 95 KB).
AS_IT_IS_FULL = 400_000
#: Width in pixels and JPEG quality of reduced pictures, and the ones used from this many on:
#: about 16 KB and 6 KB each.
THUMB = (480, 60)
SMALL_THUMB = (320, 50)
MANY = 500
#: WebP quality of large failure pictures.
FULL_QUALITY = 85
#: Bytes of pictures in one page; what comes after is linked only.
BUDGET = 40_000_000
#: Files and pictures above this are none of ours.
MAX_FILE = 64_000_000
MAX_PIXELS = 8192 * 8192


@dataclass(frozen=True)
class Picture:
    """A picture as a page shows it.

    Attributes:
        src: data URI, "" when it is left out (see `href`).
        href: path of the file, relative to the run's folder, quoted for a URL.
        width, height: size of the original in pixels.
        key: equal for equal pictures.
    """

    src: str
    href: str
    width: int
    height: int
    key: str


class Pictures:
    """Turns files of a run into data URIs within a budget, in several threads.

    Args:
        folder: the run.
        budget: bytes of all data URIs together; 0 gives links only.
    """

    def __init__(self, folder: RunFolder, *, budget: int = BUDGET) -> None:
        self._folder = folder
        self._left = budget
        self._full: dict[str, Picture | None] = {}
        self._thumbs: dict[str, Picture | None] = {}
        self._by_key: dict[str, Picture] = {}

    def prepare(self, *, full: Iterable[str], thumbs: Iterable[str]) -> None:
        """Load pictures: those of failures first, so that they get in before others.

        Args:
            full: paths (relative to the run) of pictures to show pixel by pixel.
            thumbs: paths of pictures where a reduced one will do.
        """
        full = [path for path in dict.fromkeys(full) if path not in self._full]
        thumbs = [path for path in dict.fromkeys(thumbs) if path not in self._thumbs]
        thumb_kind = SMALL_THUMB if len(thumbs) > MANY else THUMB
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for path, loaded in zip(full, pool.map(self._load_full, full), strict=True):
                self._full[path] = self._admitted(loaded)
            load = _ThumbLoader(self._folder, *thumb_kind)
            for path, loaded in zip(thumbs, pool.map(load, thumbs), strict=True):
                self._thumbs[path] = self._full.get(path) or self._admitted(loaded)

    def full(self, path: str | None) -> Picture | None:
        """Return the picture in full size, None when there is no such file."""
        if path is None:
            return None
        if path not in self._full:
            self._full[path] = self._admitted(self._load_full(path))
        return self._full[path]

    def thumb(self, path: str) -> Picture | None:
        """Return the reduced picture, None when there is no such file."""
        if path not in self._thumbs:
            self._thumbs[path] = self._admitted(_ThumbLoader(self._folder, *THUMB)(path))
        return self._thumbs[path]

    def difference(self, reference: str | None, candidate: str | None) -> Picture | None:
        """Return the candidate in pale grey with everything that differs in red.

        None when one of the files is missing or unreadable.
        """
        sizes = [self._folder.file(path) for path in (reference, candidate)]
        pixels = [_decode(_read(path)) if path else None for path in sizes]
        if pixels[0] is None or pixels[1] is None:
            return None
        data = difference_picture(pixels[0], pixels[1])
        height, width = pixels[1].shape[:2]
        return self._admitted(
            Picture(_uri("image/png", data), "", width, height, f"difference {candidate}")
        )

    def _load_full(self, path: str) -> Picture | None:
        file = self._folder.file(path)
        data = _read(file) if file else b""
        size = _size(data)
        if size is None:
            return None
        uri, key = "", _key(data)
        if len(data) <= AS_IT_IS_FULL:
            uri = _uri(_mime(data), data)
        else:
            key += " reduced"
            pixels = _decode(data)
            if pixels is not None:
                options = [cv2.IMWRITE_WEBP_QUALITY, FULL_QUALITY]
                uri = _uri("image/webp", cv2.imencode(".webp", pixels, options)[1].tobytes())
        return Picture(uri, quote(path), *size, key)

    def _admitted(self, picture: Picture | None) -> Picture | None:
        """Charge a new picture to the budget; one that does not fit loses its data."""
        if picture is None:
            return None
        known = self._by_key.get(picture.key)
        if known is not None:
            return Picture(known.src, picture.href, picture.width, picture.height, picture.key)
        if len(picture.src) > self._left:
            picture = Picture("", picture.href, picture.width, picture.height, picture.key)
        self._left -= len(picture.src)
        self._by_key[picture.key] = picture
        return picture


class _ThumbLoader:
    def __init__(self, folder: RunFolder, width: int, quality: int) -> None:
        self._folder = folder
        self._width = width
        self._quality = quality

    def __call__(self, path: str) -> Picture | None:
        file = self._folder.file(path)
        data = _read(file) if file else b""
        size = _size(data)
        if size is None:
            return None
        if len(data) <= AS_IT_IS:
            return Picture(_uri(_mime(data), data), quote(path), *size, _key(data))
        pixels = _decode(data)
        if pixels is None:
            return None
        height, width = pixels.shape[:2]
        if width > self._width:
            wanted = (self._width, max(1, self._width * height // width))
            pixels = cv2.resize(pixels, wanted, interpolation=cv2.INTER_AREA)
        options = [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        jpeg = cv2.imencode(".jpg", pixels, options)[1].tobytes()
        return Picture(_uri("image/jpeg", jpeg), quote(path), *size, _key(data) + " thumb")


def difference_picture(reference: np.ndarray, candidate: np.ndarray) -> bytes:
    """Return a PNG of `candidate`, pale, with pixels that differ from `reference` in red.

    Both are BGR, uint8. With different sizes the common part is compared and the rest is red.
    """
    height, width = candidate.shape[:2]
    low, narrow = min(height, reference.shape[0]), min(width, reference.shape[1])
    strength = np.full((height, width), 255, np.uint8)
    common = cv2.absdiff(reference[:low, :narrow], candidate[:low, :narrow])
    # Three times the largest channel difference: a step of 8 in one colour can be seen already.
    strength[:low, :narrow] = np.minimum(common.max(axis=2).astype(np.uint16) * 3, 255)
    grey = cv2.cvtColor(candidate, cv2.COLOR_BGR2GRAY).astype(np.float32)
    pale = 160 + grey * (95 / 255)
    weight = (strength.astype(np.float32) / 255)[..., None]
    red = np.array([40, 20, 215], np.float32)
    mixed = pale[..., None] * (1 - weight) + red * weight
    return cv2.imencode(".png", mixed.astype(np.uint8))[1].tobytes()


def _read(file: Path) -> bytes:
    try:
        return b"" if file.stat().st_size > MAX_FILE else file.read_bytes()
    except OSError:
        return b""


def _size(data: bytes) -> tuple[int, int] | None:
    """Return width and height from the header, None when it is no picture or far too large."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return (width, height) if 0 < width * height <= MAX_PIXELS else None


def _decode(data: bytes) -> np.ndarray | None:
    if _size(data) is None:
        return None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def _mime(data: bytes) -> str:
    if data.startswith(b"\xff\xd8"):
        return "image/jpeg"
    return "image/webp" if data[8:12] == b"WEBP" else "image/png"


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _key(data: bytes) -> str:
    return blake2s(data, digest_size=12).hexdigest()
