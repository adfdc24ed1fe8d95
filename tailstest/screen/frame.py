"""One picture of a screen."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from tailstest.core.errors import InfrastructureError
from tailstest.core.geometry import Region

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

#: Largest width or height that is accepted from a guest, in pixels: 8K displays fit.
MAX_SIDE = 8192

#: Formats that are decoded. QEMU hands over PPM, libvirt PNG or PPM.
FORMATS = ("PNG", "PPM", "JPEG")


class FrameIncomplete(InfrastructureError):
    """A screenshot was cut off, empty, or not a picture; the next one may be whole."""


class FrameSource(Protocol):
    """Something that has a screen."""

    def capture(self) -> Frame:
        """Return what is on the screen now.

        Raises:
            FrameIncomplete: this picture was cut off; another try may help.
            InfrastructureError: there is no picture at all.
        """
        ...


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a screen that never changes.

    Attributes:
        pixels: uint8 array, height x width x 3, in the order blue, green, red.
        taken: when, in seconds of the monotonic clock.
    """

    pixels: Pixels
    taken: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.pixels.flags.writeable = False

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """Decode a PNG, PPM or JPEG picture, told apart by its content.

        Raises:
            FrameIncomplete: the data is empty, cut off, too large or no picture.
        """
        return cls(decode_picture(data))

    def taken_again(self) -> Frame:
        """Return the same picture, taken now; what was computed from it is kept."""
        again = Frame(self.pixels)
        for name in ("digest", "grey", "half", "lab"):
            if name in self.__dict__:
                again.__dict__[name] = self.__dict__[name]
        return again

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def region(self) -> Region:
        """All of the frame."""
        return Region(0, 0, self.width, self.height)

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that are equal for equal pictures."""
        state = blake2b(f"{self.width}x{self.height}".encode(), digest_size=16)
        state.update(np.ascontiguousarray(self.pixels).data)
        return state.digest()

    @cached_property
    def grey(self) -> Pixels:
        """Brightness, height x width."""
        return _as_pixels(cv2.cvtColor(self.pixels, cv2.COLOR_BGR2GRAY))

    @cached_property
    def half(self) -> Pixels:
        """Brightness at half the size, averaged over 2x2 pixels."""
        size = (max(1, self.width // 2), max(1, self.height // 2))
        return _as_pixels(
            cv2.resize(self.grey[: size[1] * 2, : size[0] * 2], size, interpolation=cv2.INTER_AREA)
        )

    def crop(self, region: Region) -> Pixels:
        """Return the pixels of a region, clipped to the frame (a view, not a copy)."""
        inside = region.clipped(self.region)
        return self.pixels[inside.y : inside.bottom, inside.x : inside.right]

    def save(self, path: Path) -> None:
        """Write the frame as PNG.

        Raises:
            InfrastructureError: the file cannot be written (full disk).
        """
        save_picture(self.pixels, path)


def decode_picture(data: bytes) -> Pixels:
    """Decode a picture of any mode into blue, green, red; alpha is laid on black.

    Raises:
        FrameIncomplete: the data is empty, cut off, too large or no picture.
    """
    if not data:
        raise FrameIncomplete("screenshot incomplete: it has 0 bytes")
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # a library may have switched this on behind our back
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if max(picture.size) > MAX_SIDE or min(picture.size) < 1:
                raise FrameIncomplete(f"a picture of {picture.size} pixels is not accepted")
            return _as_bgr(picture)
    except UnidentifiedImageError as error:
        raise FrameIncomplete("screenshot incomplete: not a PNG, PPM or JPEG picture") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise FrameIncomplete(f"screenshot incomplete: {error}") from error


def save_picture(pixels: Pixels, path: Path) -> None:
    """Write blue, green, red pixels as PNG, fast rather than small.

    Raises:
        InfrastructureError: the file cannot be written.
    """
    _done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise InfrastructureError(
            f"cannot write the picture {path}: {error.strerror}",
            hint="free some space or choose another folder with --output",
        ) from error


def _as_bgr(picture: Image.Image) -> Pixels:
    if picture.mode.startswith("I;16") or picture.mode == "I":
        deep = np.asarray(picture, dtype=np.float64)
        grey = (deep / 257.0 + 0.5).clip(0, 255).astype(np.uint8)
        return _as_pixels(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        alpha = picture.convert("RGBA")
        flat = Image.new("RGBA", alpha.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(flat, alpha)
    rgb = np.asarray(picture.convert("RGB"))
    return _as_pixels(np.ascontiguousarray(rgb[:, :, ::-1]))


def _as_pixels(array: Any) -> Pixels:
    pixels: Pixels = np.asarray(array, dtype=np.uint8)
    return pixels
