"""What was probably meant by a word that is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable

from archc.source.diagnostics import Advice

# What other libraries and papers call things, for hints; in lower case, without `_` and `-`.
_SYNONYMS = {
    "avgpool": ("avg_pool",),
    "base": ("extends",),
    "basedon": ("extends",),
    "basicblock": ("basic",),
    "batchnorm": ("batch_norm",),
    "batchsize": ("batch",),
    "blocks": ("depth",),
    "blocktype": ("block",),
    "bn": ("batch_norm",),
    "bottleneckblock": ("bottleneck",),
    "channels": ("width",),
    "conv2d": ("conv",),
    "conv3x3": ("conv",),
    "convblock": ("conv",),
    "dense": ("linear",),
    "expand": ("expansion",),
    "expected": ("expect",),
    "expects": ("expect",),
    "extend": ("extends",),
    "fc": ("linear",),
    "filters": ("width",),
    "flops": ("multiply_adds",),
    "from": ("extends",),
    "gap": ("global_avg_pool",),
    "gpumemory": ("training_memory",),
    "identity": ("A",),
    "imagesize": ("input",),
    "include": ("extends",),
    "inherit": ("extends",),
    "inheritfrom": ("extends",),
    "inherits": ("extends",),
    "inputsize": ("input",),
    "kernelsize": ("kernel",),
    "layers": ("stages", "depth"),
    "macs": ("multiply_adds",),
    "madds": ("multiply_adds",),
    "maxpool": ("max_pool",),
    "memory": ("training_memory",),
    "null": ("none",),
    "numblocks": ("depth",),
    "numclasses": ("classes",),
    "optim": ("optimizer",),
    "outchannels": ("width",),
    "parameters": ("params",),
    "parent": ("extends",),
    "planes": ("width",),
    "preact": ("pre_activation",),
    "projection": ("B",),
    "repeat": ("depth",),
    "repeats": ("depth",),
    "resnext": ("bottleneck",),
    "size": ("kernel",),
    "super": ("extends",),
    "type": ("block",),
    "vgg": ("conv",),
    "vggblock": ("conv",),
    "weights": ("params",),
    "window": ("kernel",),
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is close enough; case does not count."""
    if len(word) > 64:
        return None
    lower = {candidate.lower(): candidate for candidate in known}
    for meant in _synonyms(word):
        if meant.lower() in lower:
            return lower[meant.lower()]
    from difflib import get_close_matches

    matches = get_close_matches(word.lower(), lower, n=8, cutoff=0.7)
    return lower[min(matches, key=lambda match: distance(word, match))] if matches else None


def distance(word: str, other: str) -> tuple[float, int]:
    """How far apart two words are; of equally close ones, how far apart their numbers are."""
    word, other = word.lower(), other.lower()
    from difflib import SequenceMatcher

    ratio = SequenceMatcher(None, other, word).ratio()
    first, second = (int("".join(re.findall(r"\d", text)) or 0) for text in (word, other))
    return -ratio, abs(first - second)


def closest(word: str, known: Iterable[str]) -> Advice | None:
    """``did you mean `bottleneck`?``, where a known word is close enough."""
    known = list(known)
    meant = nearest(word, known)
    return meant_by(word, meant, known) if meant else None


def meant_by(word: str, meant: str, known: Iterable[str]) -> Advice:
    """``did you mean `bottleneck`?`` for what was written in its place.

    That is certain unless numbers differ (``resnet35``), or another known word is as close.
    """
    is_other_number = re.sub(r"\D", "", word) != re.sub(r"\D", "", meant)
    rank = distance(word, meant)
    rivals = [one for one in known if one != meant and distance(word, one) <= rank]
    is_synonym = meant in _synonyms(word)
    certain = is_synonym or not (is_other_number or rivals)
    return Advice(f"did you mean `{meant}`?", meant, word, is_certain=certain)


def _synonyms(word: str) -> tuple[str, ...]:
    return _SYNONYMS.get(re.sub(r"[_\-\s]", "", word.lower()), ())
