"""Convert a picture of any mode to a square RGB array.

The result is `uint8[size, size, 3]`: rotated by the EXIF orientation, shrunk (or enlarged) to fit, centred on white,
with alpha over white. Colour profiles are not applied. An RGB picture of size x size is not changed.

A large JPEG is decoded at a smaller scale (`draft`), with a margin. 250 photos in four forms of 1080 x 1440, 1440 x
1080, 1200 x 1200 and 1079 x 1437 pixels, by `python -m training.draft_effect`:

    decode                       ms   mean   max   PSNR, worst form   other category: with text, by the photo alone
    full                         23                                   -               -
    margin 2                      9   0.08    4    57.6 dB            0               0
    margin 1.5                    5   0.19   14    51.5 dB            0               5
    margin 1                      5   0.25   17    49.7 dB            0               6
    full, JPEG of quality 75     22   0.19    8    52.9 dB            0               3

A margin is acceptable if at most 0.1 % of the photos with text change category, if the mean difference of pixels is not
larger than that of the same photo encoded again as a JPEG of quality 75, and if no form is below 50 dB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin, TiffImagePlugin

#: Minimum size of a JPEG after its decoder scales it, as a multiple of the square's side: the smallest acceptable
#: margin.
DRAFT_MARGIN = 1.5

#: The filter that resizes pictures. `python -m training.draft_effect --filters` compares other filters with it.
FILTER = Image.Resampling.BICUBIC

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)
#: Orientations with the left edge stored as the right one, and with the upper edge stored as the lower one.
_LEFT_IS_LAST, _TOP_IS_LAST = (2, 3, 6, 7), (3, 4, 7, 8)


def draft(image: JpegImagePlugin.JpegImageFile, size: int, margin: float = DRAFT_MARGIN) -> tuple[float, float]:
    """Set libjpeg to decode a large JPEG at 1/2, 1/4 or 1/8 of its size: the smallest of at least `margin * size`.

    Args:
        image: opened, but not loaded. It must not be a lossless JPEG, which libjpeg never scales.
        size: side of the square, in pixels.
        margin: 1 or more.

    Returns:
        Width and height in pixels of the decoded picture. If the scale does not divide a side, this is a fraction, and
        the decoder's last column or row is only partly used.
    """
    reach = margin * _uneven(image) * size
    width, height = (max(1, int(side * reach / max(image.size))) for side in image.size)
    drafted = image.draft(None, (width, height))
    assert drafted is not None  # None is for pictures of several tiles; a JPEG has one
    return drafted[1][2:]


def _uneven(image: JpegImagePlugin.JpegImageFile) -> float:
    """Return the largest ratio of a component's horizontal and vertical sampling: 1 for 4:4:4 and 4:2:0, 2 for 4:2:2.

    If the colour has half the size in both directions, libjpeg scales it half as much. Colour with only half the width
    is scaled like the brightness, which causes a much larger error.
    """
    factors = [(max(1, across), max(1, down)) for _, across, down, _ in image.layer]  # a damaged file may say 0
    widest, highest = max(across for across, _ in factors), max(down for _, down in factors)
    shapes = [widest * down / (highest * across) for across, down in factors]
    return max(max(shape, 1 / shape) for shape in shapes)


def eight_bit(image: Image.Image) -> Image.Image:
    """Convert any mode to L, RGB or RGBA."""
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # None is for inPlace=True
        return converted
    if image.mode.startswith(("I", "F")):
        return _from_deep_grey(image)
    if image.has_transparency_data:
        # LA, La and PA are converted to RGBA. A colour that means transparency counts as alpha.
        image, mode = (image.convert("LA") if image.mode == "La" else image), "RGBA"
    else:
        mode = "L" if image.mode in ("1", "L") else "RGB"
    return (
        image if image.mode == mode else image.convert(mode)
    )  # `convert` would copy a picture that already has the mode


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Scale grey of 12, 16 or 32 bits or of floats to 8 bits. Pillow's own conversion would clip at 255.

    12 and 16 bits keep their high byte, like 16-bit colour in Pillow. Wider values do not define white. White is then
    the smallest of 1 (floats), 255, 65,535 and 2^32 - 1 that no value exceeds.
    """
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        bits = image.tag_v2.get(258, (16,))[0] if isinstance(image, TiffImagePlugin.TiffImageFile) else 16
        grey = (values >> (bits - 8)).astype(np.uint8)
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            grey[values == transparent] = 255
        return Image.fromarray(grey)
    finite = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    whites = (1.0, 255.0, 65_535.0, 4_294_967_295.0)
    white = next((white for white in whites[image.mode == "I" :] if finite.max() <= white), float(finite.max()))
    scaled = np.multiply(finite, 255.0 / white, dtype=np.float32)
    return Image.fromarray(np.clip(scaled, 0.0, 255.0).round().astype(np.uint8))


def square(
    image: Image.Image,
    size: int,
    extent: tuple[float, float] | None = None,
    orientation: int = 1,
    resample: Image.Resampling = FILTER,
    reducing_gap: float | None = None,
) -> NDArray[np.uint8]:
    """Rotate a picture upright, fit it into size x size, and centre it on white.

    The picture is shrunk before it is padded, because a padded picture of 1 x 65,535 pixels would be too large.

    Args:
        image: of mode L, RGB or RGBA.
        size: side of the square, in pixels.
        extent: width and height of the part of `image` to use, from `draft`. Default: the whole picture.
        orientation: EXIF's orientation, 1 to 8.
        resample: the filter, with antialiasing when it shrinks.
        reducing_gap: first average whole blocks of pixels, down to at least this multiple of the size, which is faster
            and less exact. None means no averaging.
    """
    width, height = extent or image.size
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if orientation in _LYING:
        width, height = height, width
    left = image.width - width if orientation in _LEFT_IS_LAST else 0
    top = image.height - height if orientation in _TOP_IS_LAST else 0
    scale = size / max(width, height)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
    if image.size != fitted:
        # Pillow weights colours by their alpha.
        image = image.resize(fitted, resample, (left, top, left + width, top + height), reducing_gap)
    if image.mode == "RGB" and fitted == (size, size):
        return np.asarray(image)
    canvas = Image.new("RGB", (size, size), "white")
    mask = image.getchannel("A") if image.mode == "RGBA" else None
    canvas.paste(image.convert("RGB"), ((size - fitted[0]) // 2, (size - fitted[1]) // 2), mask)
    return np.asarray(canvas)
