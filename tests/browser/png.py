"""A screenshot as a PNG of few colours: a third of the bytes, and to the eye the same for pages of flat colours."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

COLOURS = 256
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colours that are nearly alike are one, the most frequent of them; what is rare takes the nearest that is left.
REDUCE = """async ([picture, most]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const { width, height } = image;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(image, 0, 0);
  const pixels = new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const alike = new Map(); // of which each channel is the same but for its lowest bits
  for (const [pixel, count] of counts) {
    const key = pixel & 0xf8f8f8;
    const known = alike.get(key) ?? { pixel, best: 0, count: 0 };
    if (count > known.best) Object.assign(known, { pixel, best: count });
    known.count += count;
    alike.set(key, known);
  }
  const chosen = [...alike.values()].sort((one, other) => other.count - one.count).slice(0, most);
  const palette = chosen.map(({ pixel }) => parts(pixel));
  const nearest = new Map();
  for (const pixel of counts.keys()) {
    const own = parts(pixel);
    let best = 0, least = Infinity;
    palette.forEach((colour, index) => {
      const far = colour.reduce((sum, part, at) => sum + (part - own[at]) ** 2, 0);
      if (far < least) [best, least] = [index, far];
    });
    nearest.set(pixel, best);
  }
  const places = Uint8Array.from(pixels, (pixel) => nearest.get(pixel));
  let text = "";
  for (let at = 0; at < places.length; at += 32768)
    text += String.fromCharCode(...places.subarray(at, at + 32768));
  return [width, height, palette.flat(), btoa(text)];
}"""


async def reduced(page: Page, picture: bytes) -> bytes:
    """Return a PNG of the same picture with a palette; a page of the browser does the counting."""
    asked = [base64.b64encode(picture).decode(), COLOURS]
    width, height, palette, places = await page.evaluate(REDUCE, asked)
    pixels = base64.b64decode(places)
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, len(pixels), width))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", bytes(palette)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and check sum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
