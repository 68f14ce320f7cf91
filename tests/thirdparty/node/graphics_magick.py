"""Stand in for the program `gm`, which the npm package `webex` runs to measure and to reduce pictures.

It knows the two calls that the package makes: `identify -ping -format … -` and `convert … -resize WxH … PNG:-`.
"""

from __future__ import annotations

import io
import re
import sys

from PIL import Image


def main() -> None:
    """Answer one call: a picture comes on standard input."""
    arguments = sys.argv[1:]
    with Image.open(io.BytesIO(sys.stdin.buffer.read())) as picture:
        if arguments[0] == "identify":
            sys.stdout.write(f"{picture.width}x{picture.height}\n")
            return
        size = re.fullmatch(r"(\d+)x(\d+)", arguments[arguments.index("-resize") + 1])
        assert size is not None, arguments
        picture.thumbnail((int(size[1]), int(size[2])))
        saved = io.BytesIO()
        picture.save(saved, "PNG")
        sys.stdout.buffer.write(saved.getvalue())


main()
