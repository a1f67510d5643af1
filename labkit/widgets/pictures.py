"""An SVG that stands by itself: on white paper with black ink and its caption, for places that show it as an image.

In a page a picture takes the page's own colour. Where an image is shown, as in GitHub's view of a notebook, it has no
page to take it from, and a picture within HTML is dropped there. Text and numbers only: nothing is drawn here.
"""

import html
import re
import textwrap

MIME = "image/svg+xml"
_LETTER, _LINE = 7.0, 17  # pixels that a letter may take, and a line of the caption


def standalone(svg: str, caption: str) -> str:
    """`svg`, as it stands in a page, with `caption` above it as text, as an SVG file."""
    head, title, inside = re.fullmatch(r"<svg([^>]*)>(<title>.*?</title>)?(.*)</svg>", svg, re.S).groups()
    wide, high = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head).groups())
    wide = max(wide, 320.0)
    lines = [part for line in caption.splitlines() for part in textwrap.wrap(line, int((wide - 12) / _LETTER))]
    below = _LINE * len(lines) + 6
    told = "".join(
        f'<text x="6" y="{_LINE * (at + 1) - 3}">{html.escape(line)}</text>' for at, line in enumerate(lines)
    )
    size = f'width="{wide:.0f}" height="{high + below:.0f}" viewBox="0 0 {wide:.0f} {high + below:.0f}"'
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    font = 'font-size="13" font-family="sans-serif" color="#000" fill="#000"'
    moved = f'<g transform="translate(0 {below})">{inside}</g>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {font}>{title or ""}{paper}{told}{moved}</svg>'
