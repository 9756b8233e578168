r"""A scene as TikZ: one file that compiles as it is and serves ``\input`` in a document.

Coordinates are the SVG's own: points of PDF (``bp``), downwards. The file loads no TikZ library:
one loaded inside of a figure is forgotten after it, yet never loaded again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from string import Template
from typing import TypeAlias, TypeVar

from archc.backends.figure import pen
from archc.backends.figure.grouping import Group, Thing, grouped
from archc.backends.figure.pdf_file import text_string
from archc.backends.figure.pen import number
from archc.backends.figure.scene import Curve, Point, Rect, Scene, Text
from archc.backends.figure.tex import escaped
from archc.backends.figure.theme import THEMES, Theme, fill_of

_HEAD = Template(r"""% Written by archc. Compile it as it is, or \usepackage{tikz} and \input it.
% To restyle it, say before the \input: \tikzset{every archc box/.style={rounded corners=2bp}}.
% There is such a hook for text, box and line, and for each kind of them:
% $hooks.
% Colours: \definecolor{archc64}{HTML}{FFCC00} before the \input, and so on.
% Sizes of type: \newcommand\archcsize[1]{\small}, where #1 is the size in bp.
% Boxes have names, as ($node). To draw to them: \tikzset{every archc picture/.style={
%   execute at end picture={\draw[red] ($node.west) -- +(-20,0) node[left] {here};}}}
\makeatletter
\providecommand\archcwhole[1]{}%
\ifx\@nodocument\relax\else
  \renewcommand\archcwhole[1]{#1}%
  \RequirePackage{fix-cm}
  \documentclass{article}
  \usepackage{tikz}
  % Helvetica, which the labels are measured for, where it is installed; else TeX's own sans serif.
  \newread\archcread
  \openin\archcread="|kpsewhich phvr8t.tfm"\relax
  \ifeof\archcread\else
    \begingroup\endlinechar=-1 \global\read\archcread to\archcline\endgroup
    \ifx\archcline\@empty\else\renewcommand\sfdefault{phv}\usepackage[T1]{fontenc}\fi
  \fi
  \closein\archcread
  \renewcommand\familydefault{\sfdefault}
  \paperwidth=${width}bp \paperheight=${height}bp
  \ifdefined\pdfpagewidth \pdfpagewidth=\paperwidth \pdfpageheight=\paperheight
  \else \pagewidth=\paperwidth \pageheight=\paperheight \fi
  \ifdefined\pdfinfo \pdfinfo{/Title $title}\fi
  \hoffset=-1in \voffset=-1in \topmargin=0pt \headheight=0pt \headsep=0pt \topskip=0pt
  \oddsidemargin=0pt \parindent=0pt \textwidth=\paperwidth \textheight=\paperheight
  \pagestyle{empty}
  \begin{document}\fi
\makeatother
\begingroup
% Characters that babel makes commands of.
\catcode33=12 \catcode34=12 \catcode39=12 \catcode58=12 \catcode59=12 \catcode60=12 %
\catcode61=12 \catcode62=12 \catcode63=12 \catcode96=12 %
\ifdefined\archctip\else\newdimen\archctip\fi
\pgfdeclarearrow{name=archc, parameters={\the\archctip},
  setup code={\pgfarrowssettipend{0pt}\pgfarrowssetlineend{-.8\archctip}%
    \pgfarrowssetbackend{-\archctip}},
  drawing code={\pgfpathmoveto{\pgfpointorigin}%
    \pgfpathlineto{\pgfqpoint{-\archctip}{$half\archctip}}%
    \pgfpathlineto{\pgfqpoint{-\archctip}{-$half\archctip}}%
    \pgfpathclose\pgfusepathqfill}}%
\providecommand\archcsize[1]{\fontsize{#1bp}{#1bp}\selectfont}%
""")

_OTHER = r"""% Characters that TeX's own fonts may lack: empty boxes, unless the font has them.
\providecommand\archcbox{{\fboxsep=0pt \fbox{\rule{0pt}{.65em}\hspace{.5em}}}}%
\providecommand\archcother[1]{\ifdefined\Umathchar
  \iffontchar\font`#1 #1\else\archcbox\fi\else\archcbox\fi}%
"""


def to_tikz(scene: Scene, theme: Theme = THEMES["light"], *, transparent: bool = False) -> bytes:
    """The scene as a file; equal scenes give equal bytes.

    With ``transparent`` no ground is painted below the figure.
    """
    return "".join(_Writer(scene, theme).pieces(transparent)).encode()


def node_name(id: str) -> str:
    """What a thing is called in TikZ, where a dot leads to an anchor."""
    return id.replace(".", "/")


_MODIFIERS = ("odd", "dotted", "bus")
"""Styles that come on top of another."""
_HOOKED = ("tip", "stripe", "ground")
_FIXED = (*_HOOKED, "picture", "group", "size", "sign", "text", "box", "line")
"""Other styles that every file has; those with a hook of their own."""
_Measures: TypeAlias = tuple[float, float, float]
_Value = TypeVar("_Value")


class _Writer:
    def __init__(self, scene: Scene, theme: Theme) -> None:
        self.scene = scene
        self.theme = theme
        marks = [curve.mark for curve in scene.curves if curve.mark]
        self.texts = [*[text for text in scene.texts if text.text], *marks]
        self.usual = _usual([_measures(box) for box in scene.boxes], (1.0, 1.0, 11.0))
        self.sizes = {
            role: _usual([text.size for text in self.texts if _word(text) == role], 11.0)
            for role in dict.fromkeys(map(_word, self.texts))
        }
        self.tip = _usual([_tip_length(curve) for curve in scene.curves if curve.tip], 3.5)
        taken = {*_MODIFIERS, *_FIXED}
        self.boxes = _style_names(scene.boxes, "box", taken)
        self.kinds = _style_names(self.texts, "text", taken)
        self.lines = _style_names(scene.curves, "line", taken)

    def pieces(self, transparent: bool) -> Iterator[str]:
        scene = self.scene
        yield _HEAD.substitute(
            width=number(scene.width),
            height=number(scene.height),
            title=text_string(scene.title),
            half=f"{pen.HEAD:g}",
            hooks=", ".join(self.hooks()),
            node=node_name(next((box.id for box in scene.boxes), "node")),
        )
        body = "".join(self.body(transparent))
        if "\\archcother" in body:
            yield _OTHER
        yield from self.colours()
        yield from self.styles(transparent)
        yield from self.styles_of_lines()
        yield body

    def hooks(self) -> list[str]:
        names = [self.boxes, self.kinds, self.lines]
        return [*[name for one in names for name in one.values()], *_MODIFIERS, *_HOOKED]

    def colours(self) -> Iterator[str]:
        theme = self.theme
        named = {"ink": theme.ink, "outline": theme.outline, "paper": theme.paper}
        named["stripe"] = theme.stripe
        boxes = sorted(self.scene.boxes, key=lambda box: (box.shade or 0, box.heat or 0))
        named |= {_fill_name(box, theme): fill_of(box, theme) for box in boxes}
        for name, colour in named.items():
            yield f"\\providecolor{{archc{name}}}{{HTML}}{{{colour[1:].upper()}}}%\n"

    def styles(self, transparent: bool) -> Iterator[str]:
        width, height, size = self.usual
        outline = number(self.scene.scale * pen.OUTLINE)
        stripe = f"fill=archcink, fill opacity={pen.VEIL}" if transparent else "fill=archcstripe"
        yield (
            "\\tikzset{\n"
            "  archc picture/.style={x=1bp, y=-1bp, every archc picture/.try},\n"
            "  archc group/.style={every archc group/.try={#1}},\n"
            "  archc ground/.style={fill=archcpaper, every archc ground/.try},\n"
            f"  archc stripe/.style={{{stripe}, every archc stripe/.try}},\n"
            # The label has the SVG's baseline whatever letters it has.
            "  archc size/.style={font=\\archcsize{#1}, text height={.8*#1bp}, "
            "text depth={.1*#1bp},\n    every archc text/.try},\n"
            # A circle grows with its text, so that of a sign is taken to be flat.
            "  archc sign/.style={archc size={#1}, text height={.35*#1bp}, "
            "text depth={-.35*#1bp}},\n"
            "  archc text/.style={inner sep=0pt, outer sep=0pt, text=archcink},\n"
            "  archc box/.style={archc text, rectangle, draw=archcoutline, "
            f"line width={outline}bp, fill=archc#1,\n    archc size={number(size)}, "
            f"minimum width={number(width)}bp, minimum height={number(height)}bp, "
            "every archc box/.try={#1}},\n"
        )
        for word, name in self.boxes.items():
            yield (
                f"  archc {name}/.style={{archc box={{#1}}, {'circle, ' * (word == 'plus')}"
                f"every archc {name}/.try={{#1}}}},\n  archc {name}/.default=paper,\n"
            )
        for word, name in self.kinds.items():
            yield (
                f"  archc {name}/.style={{archc text, archc size={number(self.sizes[word])}, "
                f"every archc {name}/.try}},\n"
            )

    def styles_of_lines(self) -> Iterator[str]:
        scale = self.scene.scale
        odd, line, dotted, bus = (
            number(scale * width) for width in (pen.ODD, pen.LINE, pen.DOTTED, pen.BUS)
        )
        yield (
            f"  archc line/.style={{draw=archcink, line width={line}bp, every archc line/.try}},\n"
        )
        for word in self.lines.values():
            yield f"  archc {word}/.style={{archc line, every archc {word}/.try}},\n"
        yield (
            f"  archc odd/.style={{line width={odd}bp, every archc odd/.try}},\n"
            f"  archc dotted/.style={{line width={dotted}bp, line cap=round, dash pattern="
            f"on 0bp off {number(scale * pen.DOT_GAP)}bp, every archc dotted/.try}},\n"
            f"  archc bus/.style={{line width={bus}bp, every archc bus/.try}},\n"
            "  archc tip/.style={/utils/exec={\\archctip=#1bp }, -archc, every archc tip/.try},\n"
            f"  archc tip/.default={number(self.tip)},\n"
            "}%\n"
        )

    # The picture

    def body(self, transparent: bool) -> Iterator[str]:
        corner = _at(Point(self.scene.width, self.scene.height))
        ground = "use as bounding box" if transparent else "use as bounding box, archc ground"
        yield "\\begin{tikzpicture}[archc picture]\n"
        yield f"\\path[{ground}] (0,0) rectangle {corner};\n"
        for stripe in self.scene.stripes:
            first = Point(stripe.right - stripe.width, stripe.top)
            last = Point(stripe.right, stripe.bottom)
            yield f"\\path[archc stripe] {_at(first)} rectangle {_at(last)};\n"
        yield from self.items(grouped(self.scene))
        yield "\\end{tikzpicture}%\n\\endgroup\n\\archcwhole{\\end{document}}%\n"

    def items(self, items: Iterable[Thing | Group]) -> Iterator[str]:
        for item in items:
            if isinstance(item, Group):
                yield f"\\begin{{scope}}[archc group={{{node_name(item.id)}}}]\n"
                yield from self.items(item.items)
                yield "\\end{scope}\n"
            elif isinstance(item, Rect):
                yield self.box(item)
            elif isinstance(item, Text):
                yield self.text(item)
            else:
                yield self.curve(item)

    def box(self, box: Rect) -> str:
        fill = _fill_name(box, self.theme)
        options = [f"archc {self.boxes[_word(box)]}" + (f"={fill}" if fill != "paper" else "")]
        options += ["archc odd"] * box.is_odd
        width, height, size = _measures(box)
        if box.role == "plus":
            options.append(f"archc sign={number(size)}")
        elif size != self.usual[2]:
            options.append(f"archc size={number(size)}")
        options += [f"minimum width={number(width)}bp"] * (width != self.usual[0])
        options += [f"minimum height={number(height)}bp"] * (height != self.usual[1])
        options += [f"rounded corners={number(min(width, height) / 2)}bp"] * ("pill" in box.role)
        options += _more(box.role)
        return _node(options, box.id, box.centre, box.label)

    def text(self, text: Text) -> str:
        if not text.text:
            return f"\\coordinate ({node_name(text.id)}) at {_at(text.at)};\n"
        word = _word(text)
        options = [f"archc {self.kinds[word]}"]
        options += [f"archc size={number(text.size)}"] * (text.size != self.sizes[word])
        options += ["anchor=west"] * text.left
        return _node([*options, *_more(text.role)], text.id, text.at, text.text)

    def curve(self, curve: Curve) -> str:
        options = [f"archc {self.lines[_word(curve)]}"]
        options += ["archc bus"] * ("bus" in curve.role)
        options += ["archc dotted"] * pen.is_dotted(curve)
        way = _way(curve.points)
        if curve.tip:
            length = _tip_length(curve)
            given = "" if length == self.tip else f"={number(length)}"
            options.append(f"archc tip{given}")
            way += f" -- {_at(curve.tip)}"
        options += _more(curve.role)
        mark = self.text(curve.mark) if curve.mark else ""
        return f"\\draw[{', '.join(options)}] {way};\n{mark}"


def _style_names(things: Iterable[Thing], kind: str, taken: set[str]) -> dict[str, str]:
    """For the first word of each role the name of its style, which becomes ``taken``: the word, or
    where another kind of thing has it, the word and the kind."""
    names = {}
    for word in dict.fromkeys(map(_word, things)):
        names[word] = f"{word} {kind}" if word in taken else word
    taken |= {*names.values()}
    return names


def _usual(values: Sequence[_Value], default: _Value) -> _Value:
    """The value that most have, which is the style's; only others say theirs."""
    return Counter(values).most_common(1)[0][0] if values else default


def _measures(box: Rect) -> _Measures:
    """Width and height of a box and the size of its type, to the hundredths that are written."""
    return round(box.width, 2), round(box.height, 2), round(box.size, 2)


def _tip_length(curve: Curve) -> float:
    base, tip = curve.points[-1], curve.tip or curve.points[-1]
    return round(math.hypot(tip.x - base.x, tip.y - base.y), 2)


def _fill_name(box: Rect, theme: Theme) -> str:
    """What a file calls the colour of a box: by its width, or as a heat."""
    if box.heat is not None:
        return f"heat{fill_of(box, theme)[1:].upper()}"
    return "paper" if box.shade is None else str(8 << box.shade)


def _word(thing: Thing) -> str:
    """The first word of a role, which names the style."""
    return thing.role.partition(" ")[0]


def _more(role: str) -> list[str]:
    """Hooks for the other words of a role."""
    words = role.split()[1:]
    return [f"every archc {word}/.try" for word in words if word not in _MODIFIERS]


def _node(options: Sequence[str], id: str, centre: Point, words: str) -> str:
    name = node_name(id)
    return f"\\node[{', '.join(options)}] ({name}) at {_at(centre)} {{{escaped(words)}}};\n"


def _at(point: Point) -> str:
    return f"({number(point.x)},{number(point.y)})"


def _way(points: tuple[Point, ...]) -> str:
    way = [_at(points[0])]
    for _, bend, end in pen.pieces(points):
        join = f".. controls {_at(bend[0])} and {_at(bend[1])} .." if bend else "--"
        way.append(f" {join} {_at(end)}")
    return "".join(way)
