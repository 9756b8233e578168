"""A scene as PDF: one page, its text set in glyphs of the shipped font that are embedded in it.

The figure is one tagged figure with the description as its alternative text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from archc.backends.figure import pen
from archc.backends.figure.font import is_unseen
from archc.backends.figure.font.subset import Subset, metrics, subset
from archc.backends.figure.grouping import Group, Thing, grouped
from archc.backends.figure.pdf_file import Stream, metadata, pdf_file, ref, text_string
from archc.backends.figure.pen import number
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text, words
from archc.backends.figure.theme import THEMES, Theme, fill_of

_CATALOG, _PAGES, _PAGE, _CONTENT, _FONT, _CID_FONT, _DESCRIPTOR, _FILE = range(1, 9)
_TO_UNICODE, _TREE, _FIGURE, _METADATA, _INFO = range(9, 14)
"""Numbers of the objects."""


def to_pdf(scene: Scene, theme: Theme = THEMES["light"], *, transparent: bool = False) -> bytes:
    """The scene as a file; equal scenes give equal bytes, once the streams are inflated.

    With ``transparent`` no ground is painted below the figure. A character that the font lacks is
    an empty box, which copies as the character.
    """
    glyphs = subset("".join(words(scene)))
    content = "\n".join(_Writer(scene, theme, glyphs).operators(transparent)).encode("ascii")
    objects = [*_document(scene), Stream("", content), *_font_objects(glyphs), *_tags(scene)]
    objects += [metadata(scene.title), f"<< /Title {text_string(scene.title)} >>"]
    return pdf_file(objects, f"/Root {ref(_CATALOG)} /Info {ref(_INFO)}")


def _box(scene: Scene) -> str:
    return f"[0 0 {number(scene.width)} {number(scene.height)}]"


def _document(scene: Scene) -> Iterator[str]:
    """Catalog, pages and page."""
    yield (
        f"<< /Type /Catalog /Pages {ref(_PAGES)} /Lang (en) /MarkInfo << /Marked true >> "
        f"/StructTreeRoot {ref(_TREE)} /ViewerPreferences << /DisplayDocTitle true >> "
        f"/Metadata {ref(_METADATA)} >>"
    )
    yield f"<< /Type /Pages /Kids [{ref(_PAGE)}] /Count 1 >>"
    yield (
        f"<< /Type /Page /Parent {ref(_PAGES)} /MediaBox {_box(scene)} /Contents {ref(_CONTENT)} "
        f"/Resources << /Font << /F {ref(_FONT)} >> "
        f"/ExtGState << /Veil << /ca {pen.VEIL} >> >> >> /StructParents 0 >>"
    )


def _tags(scene: Scene) -> Iterator[str]:
    """The tree of what the page holds: one figure."""
    yield (
        f"<< /Type /StructTreeRoot /K {ref(_FIGURE)} "
        f"/ParentTree << /Nums [0 [{ref(_FIGURE)}]] >> /ParentTreeNextKey 1 >>"
    )
    yield (
        f"<< /Type /StructElem /S /Figure /P {ref(_TREE)} /Pg {ref(_PAGE)} /K 0 "
        f"/Alt {text_string(scene.description)} "
        f"/A << /O /Layout /Placement /Block /BBox {_box(scene)} >> >>"
    )


# The font


def _font_objects(glyphs: Subset) -> Iterator[str | Stream]:
    """A composite font whose codes are glyphs, with their characters."""
    tag = hashlib.sha256("".join(glyphs.glyphs).encode()).digest()[:6]
    name = f"/{''.join([chr(65 + byte % 26) for byte in tag])}+LiberationSans"
    measures = metrics()
    widths = " ".join([number(width) for width in glyphs.widths])
    bounds = " ".join(map(str, measures.bounds))
    yield (
        f"<< /Type /Font /Subtype /Type0 /BaseFont {name} /Encoding /Identity-H "
        f"/DescendantFonts [{ref(_CID_FONT)}] /ToUnicode {ref(_TO_UNICODE)} >>"
    )
    yield (
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont {name} "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
        f"/FontDescriptor {ref(_DESCRIPTOR)} /CIDToGIDMap /Identity /W [0 [{widths}]] >>"
    )
    yield (
        f"<< /Type /FontDescriptor /FontName {name} /Flags 4 /FontBBox [{bounds}] "
        f"/ItalicAngle 0 /Ascent {measures.ascent} /Descent {measures.descent} "
        f"/CapHeight {measures.cap_height} /StemV 80 /FontFile2 {ref(_FILE)} >>"
    )
    yield Stream(f"/Length1 {len(glyphs.data)}", glyphs.data)
    yield Stream("", _to_unicode(glyphs).encode("ascii"))


_MOST_PAIRS = 100
"""What a CMap may list at once."""


def _to_unicode(glyphs: Subset) -> str:
    pairs = [
        f"<{glyph:04X}> <{char.encode('utf-16-be').hex().upper()}>"
        for char, glyph in glyphs.glyphs.items()
    ]
    parts = [pairs[start : start + _MOST_PAIRS] for start in range(0, len(pairs), _MOST_PAIRS)]
    lists = [f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar\n" for part in parts]
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        f"{''.join(lists)}"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
    )


# The page


class _Writer:
    """What paints the page, in coordinates that run downwards as the scene's do."""

    def __init__(self, scene: Scene, theme: Theme, glyphs: Subset) -> None:
        self.scene = scene
        self.theme = theme
        self.glyphs = glyphs
        self.gap = number(pen.DOT_GAP * scene.scale)

    def operators(self, transparent: bool) -> Iterator[str]:
        scene, theme = self.scene, self.theme
        yield f"1 0 0 -1 0 {number(scene.height)} cm"
        yield "/Artifact BMC"
        if not transparent:
            yield f"{_colour(theme.paper)} rg 0 0 {number(scene.width)} {number(scene.height)} re f"
        shade = (
            f"/Veil gs {_colour(theme.ink)} rg" if transparent else f"{_colour(theme.stripe)} rg"
        )
        for stripe in scene.stripes:
            yield f"q {shade} {_corners(stripe)} re f Q"
        yield "EMC"
        yield "/Figure << /MCID 0 >> BDC"
        yield from self.items(grouped(scene))
        yield "EMC"

    def items(self, items: Iterable[Thing | Group]) -> Iterator[str]:
        for item in items:
            if isinstance(item, Group):
                yield from self.items(item.items)
            elif isinstance(item, Rect):
                yield from self.box(item)
            elif isinstance(item, Text):
                yield from self.text(item)
            else:
                yield from self.curve(item)

    def box(self, box: Rect) -> Iterator[str]:
        width = number(pen.outline_width(box, self.scene.scale))
        fill, outline = _colour(fill_of(box, self.theme)), _colour(self.theme.outline)
        shape = f"{_corners(box)} re"
        if "plus" in box.role or "pill" in box.role:
            radius = min(box.width, box.height) / 2
            shape = _rounded(box, radius)
        yield f"{fill} rg {outline} RG {width} w [] 0 d 0 J {shape} B"
        yield from self.words(box.label, box.centre, box.size)

    def text(self, text: Text) -> Iterator[str]:
        yield from self.words(text.text, text.at, text.size, is_left=text.left)

    def curve(self, curve: Curve) -> Iterator[str]:
        ink, width = _colour(self.theme.ink), number(pen.line_width(curve, self.scene.scale))
        dots = f"[0 {self.gap}] 0 d 1 J" if pen.is_dotted(curve) else "[] 0 d 0 J"
        yield f"{ink} RG {width} w {dots} {_way(curve.points)} S"
        if curve.tip:
            first, second, third = map(_place, pen.head(curve.points[-1], curve.tip))
            yield f"{ink} rg {first} m {second} l {third} l f"
        if curve.mark:
            yield from self.text(curve.mark)

    def words(
        self, words: str, middle: Point, size: float, *, is_left: bool = False
    ) -> Iterator[str]:
        """A line of text around a point, or from a point on its left edge."""
        runs = [self.run(run) for run in _runs(visual_order(words), self.glyphs)]
        codes = [code for run, _ in runs for code in run]
        if not codes:
            return
        length = sum([self.glyphs.width(code, size) for code in codes])
        x = middle.x if is_left else middle.x - length / 2
        y = middle.y + pen.BASELINE * size
        shown = " ".join([shown for _, shown in runs])
        place = f"1 0 0 -1 {number(x)} {number(y)} Tm"
        yield f"{_colour(self.theme.ink)} rg BT /F {number(size)} Tf {place} {shown} ET"

    def run(self, run: str) -> tuple[list[int], str]:
        """The glyphs of characters that are all in the font, or all not, and what shows them."""
        codes = [self.glyphs.glyphs.get(char, 0) for char in run if not is_unseen(char)]
        shown = f"<{''.join([f'{code:04X}' for code in codes])}> Tj"
        if not codes:
            return codes, ""
        if run[0] not in self.glyphs.glyphs:
            shown = f"/Span << /ActualText {text_string(run)} >> BDC {shown} EMC"
        return codes, shown


def _runs(words: str, glyphs: Subset) -> Iterator[str]:
    """Characters in a row that are all in the font, or all not."""
    start = 0
    for place in range(1, len(words) + 1):
        if place == len(words) or (words[place] in glyphs.glyphs) != (
            words[start] in glyphs.glyphs
        ):
            yield words[start:place]
            start = place


_LETTER = r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+"
_LEFTWARDS = re.compile(rf"{_LETTER}(?:[ ,.-]+{_LETTER})*")


def visual_order(words: str) -> str:
    """The characters from left to right: Hebrew and Arabic words, read leftwards, turned around.

    >>> visual_order("a \\u05d0\\u05d1 \\u05d2 b") == "a \\u05d2 \\u05d1\\u05d0 b"
    True
    """
    return _LEFTWARDS.sub(lambda found: found[0][::-1], words)


def _colour(colour: str) -> str:
    """A colour's red, green and blue from 0 to 1."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return " ".join([f"{part:.3f}".rstrip("0").rstrip(".") for part in parts])


def _corners(rect: Rect) -> str:
    left = rect.right - rect.width
    return " ".join(map(number, (left, rect.top, rect.width, rect.height)))


def _rounded(rect: Rect, radius: float) -> str:
    """A rectangle with round corners, which may meet in a circle, from its upper left one."""
    left, right, top, bottom = rect.right - rect.width, rect.right, rect.top, rect.bottom
    near, far = radius, radius * (1 - pen.ARC)
    steps = [
        f"{number(left + near)} {number(top)} m {number(right - near)} {number(top)} l",
        _bend((right - far, top), (right, top + far), (right, top + near)),
        f"{number(right)} {number(bottom - near)} l",
        _bend((right, bottom - far), (right - far, bottom), (right - near, bottom)),
        f"{number(left + near)} {number(bottom)} l",
        _bend((left + far, bottom), (left, bottom - far), (left, bottom - near)),
        f"{number(left)} {number(top + near)} l",
        _bend((left, top + far), (left + far, top), (left + near, top)),
    ]
    return " ".join([*steps, "h"])


def _bend(*points: tuple[float, float]) -> str:
    return " ".join([f"{number(x)} {number(y)}" for x, y in points]) + " c"


def _way(points: tuple[Point, ...]) -> str:
    way = [f"{_place(points[0])} m"]
    for _, bend, end in pen.pieces(points):
        way += [*map(_place, bend), _place(end), "c"] if bend else [_place(end), "l"]
    return " ".join(way)


def _place(point: Point) -> str:
    return f"{number(point.x)} {number(point.y)}"
