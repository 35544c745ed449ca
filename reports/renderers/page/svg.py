"""matplotlib's SVG made part of a page: it takes the page's colours and fonts, and needs no style attribute.

A page whose Content-Security-Policy names its styles by hash cannot have style attributes, and one that follows the
reader's light or dark setting cannot have colours in its drawings. So each style that matplotlib writes becomes a
class, shared by all drawings of the page (which also makes them a third smaller), and each colour of the palette a CSS
variable.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from fixtures.record.safe_text import printable

PALETTE = {
    "#1b1f24": "ink",
    "#667079": "faint",
    "#d9dee3": "rule",
    "#7d8790": "baseline",
    "#0b62b8": "candidate",
    "#b5471b": "wrong",
    "#e9edf1": "band",
    "#cfd6dd": "inner-band",
    "#fefefe": "paper",
}
"""Colours that drawings are made with (those of the light page), and the CSS variable that stands for each."""

COLOURS = {name: colour for colour, name in PALETTE.items()}
"""Colours by name."""

LONGEST = 1000
"""Characters of a title or a description."""

_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_COLOUR = re.compile("|".join(PALETTE))
_FONT = re.compile(r"(font: (?:[\w ]*? )?[\d.]+px) [^;]*")
_HREF = "{http://www.w3.org/1999/xlink}href"


class Drawings:
    """Turns figures into markup, and keeps the styles that they share."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}
        self._drawn = 0

    def draw(self, figure: Figure, title: str, description: str) -> Markup:
        """An SVG element; `title` and `description` are what a screen reader says in its place."""
        self._drawn += 1
        prefix = f"d{self._drawn}"
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
        root = ET.fromstring(written.getvalue())  # noqa: S314 - matplotlib wrote it
        self._adapt(root, prefix)
        root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": f"{prefix}t {prefix}x"}
        drawing = ET.tostring(root, encoding="unicode")
        title, description = (escape(printable(text, LONGEST)) for text in (title, description))
        spoken = f'<title id="{prefix}t">{title}</title><desc id="{prefix}x">{description}</desc>'
        end = drawing.index(">") + 1
        # From a serializer, of text that matplotlib was given as text: nothing in it is markup but the drawing.
        return Markup(drawing[:end] + spoken + drawing[end:])

    def css(self) -> str:
        """Rules for all classes that the drawings so far use."""
        return "\n".join(f".{name}{{{style}}}" for style, name in self._classes.items())

    def _adapt(self, root: ET.Element, prefix: str) -> None:
        """Shorten, rename and recolour every element in place."""
        for parent in root.iter():
            for child in [child for child in parent if _local(child) in ("metadata", "style")]:
                parent.remove(child)
        used = {target for element in root.iter() for target in _targets(element)}
        for element in root.iter():
            element.tag = _local(element)
            element.tail = None
            if not (element.text or "").strip():
                element.text = None
            identity = element.attrib.pop("id", None)
            if identity in used:
                element.set("id", f"{prefix}{identity}")
            if href := element.attrib.pop(_HREF, None):
                element.set("href", f"#{prefix}{href.removeprefix('#')}")
            if clip := element.attrib.get("clip-path"):
                element.set("clip-path", clip.replace("#", f"#{prefix}"))
            if style := element.attrib.pop("style", None):
                element.set("class", self._class_of(style))
            for name in ("d", "x", "y", "transform"):
                if name in element.attrib:
                    element.set(name, _shorter(element.attrib[name]))

    def _class_of(self, style: str) -> str:
        themed = _COLOUR.sub(lambda match: f"var(--{PALETTE[match[0]]})", style.replace("\n", " "))
        themed = _FONT.sub(r"\1 var(--sans)", themed)
        return self._classes.setdefault(themed, f"s{len(self._classes)}")


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _targets(element: ET.Element) -> list[str]:
    """Names of elements that this one refers to."""
    href = element.attrib.get(_HREF, "").removeprefix("#")
    clip = element.attrib.get("clip-path", "").removeprefix("url(#").removesuffix(")")
    return [name for name in (href, clip) if name]


def _shorter(numbers: str) -> str:
    """Coordinates to a hundredth of a point, which no screen resolves."""
    short = _NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), numbers)
    return " ".join(short.split())
