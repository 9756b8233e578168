"""Text for TeX: what it reads as commands is escaped, and the rest is in ASCII.

Replacements of characters work with every engine and text encoding of LaTeX, without a package.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from archc.backends.figure.font import is_unseen

_ASCII = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"{\char36}",  # \$ and other signs come from a companion font that is a bitmap for many
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
}
_LIGATED = frozenset("-`'?!,")
"""Of which two in a row are another character to TeX, as ``--`` and ``?` ``."""

_ACCENTS = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0306": r"\u",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030b": r"\H",
    "\u030c": r"\v",
    "\u0323": r"\d",
    "\u0327": r"\c",
    "\u0331": r"\b",
}
"""What TeX's oldest encoding puts on a letter too; an ogonek is not among them."""
_DOTLESS = {"i": r"\i", "j": r"\j"}
_LETTERS = {
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "\u00a0": "~",
    "¡": r"\textexclamdown{}",
    "¿": r"\textquestiondown{}",
    "…": r"\dots{}",
    "–": "--",
    "—": "---",
    "‘": "`{}",
    "’": "'{}",
    "“": "``",
    "”": "''",
    "\u2010": "-",
    "\u2011": "-",
}
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρςστυφχψωΓΔΘΛΞΠΣΥΦΨΩ",
        (
            *("alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota"),
            *("kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "varsigma", "sigma", "tau"),
            *("upsilon", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda"),
            *("Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
        ),
        strict=True,
    )
)
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))
"""Greek letters that look as Latin ones do, and have no name in TeX."""
_MATHS = {
    "×": r"\times",
    "÷": r"\div",
    "±": r"\pm",
    "·": r"\cdot",
    "−": "-",
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "≈": r"\approx",
    "≡": r"\equiv",
    "∞": r"\infty",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "↔": r"\leftrightarrow",
    "√": r"\surd",
    "∑": r"\sum",
    "∏": r"\prod",
    "∂": r"\partial",
    "∫": r"\int",
    "∆": r"\Delta",
    "\u2126": r"\Omega",
    "µ": r"\mu",
    "¬": r"\neg",
    "°": r"{}^\circ",
    "¹": "{}^1",
    "²": "{}^2",
    "³": "{}^3",
    "½": r"{}^1\!/{}_2",
    "¼": r"{}^1\!/{}_4",
    "¾": r"{}^3\!/{}_4",
    "§": r"\mathsection",
    "¶": r"\mathparagraph",
    "†": r"\dagger",
    "‡": r"\ddagger",
    "•": r"\bullet",
    **{char: f"\\{name}" for char, name in _GREEK.items()},
}

OTHER = r"\archcother"
"""The command that a file gives characters to that TeX's own fonts may lack."""


def escaped(text: str) -> str:
    r"""A line of text as LaTeX source.

    >>> escaped("50 % of R&D_1: é × 残")
    "50 \\% of R\\&D\\_1: \\'{e} \\ensuremath{\\times} \\archcother{残}"
    """
    return "".join(_pieces(unicodedata.normalize("NFC", text)))


def lacking(texts: Iterable[str]) -> list[str]:
    """The characters that TeX's own fonts may lack, each once, in order."""
    found: dict[str, None] = {}
    for text in texts:
        if not text.isascii():
            normal = unicodedata.normalize("NFC", text)
            missing = [char for char in normal if _command(char) is None and not is_unseen(char)]
            found.update(dict.fromkeys(missing))
    return list(found)


def _pieces(text: str) -> Iterator[str]:
    before = ""
    for char in text:
        if is_unseen(char):
            continue
        if char in _LIGATED and before in _LIGATED:
            yield "{}"
        command = _command(char)
        yield f"{OTHER}{{{char}}}" if command is None else command
        before = char


def _command(char: str) -> str | None:
    """The replacement of a character; None where TeX's own fonts may lack it."""
    if char.isascii():
        return _ASCII.get(char, char)
    if maths := _MATHS.get(char):
        return rf"\ensuremath{{{maths}}}"
    return _LETTERS.get(char) or _LATIN.get(char) or _accented(char)


def _accented(char: str) -> str | None:
    parts = unicodedata.normalize("NFD", char)
    base, marks = parts[0], parts[1:]
    accents = [_ACCENTS.get(mark) for mark in marks]
    if not marks or None in accents or not ((base.isascii() and base.isalpha()) or base in "æøÆØ"):
        return None
    above = any(unicodedata.combining(mark) == 230 for mark in marks)
    command = _DOTLESS.get(base, base) if above else _LETTERS.get(base, base)
    for accent in accents:
        command = f"{accent}{{{command}}}"
    return command
