"""The kinds of diagnostics, by their codes: what is wrong, in a sentence each.

A code is stable: programs and comments (``# archc: allow large-linear``) name it. `archc explain`
says more of each; what it says lies in `archc/source/explanations`. Nothing here is read before
somebody asks what a code means.
"""

from __future__ import annotations

WARNINGS = {
    "input-order": "`input` seems to begin with the height, not with the channels.",
    "large-linear": "A linear layer on a flattened map holds most of the network's parameters.",
    "lost-channels": "A division in the width of a layer rounds down and loses channels.",
    "overridden-value": "Another value in the same file takes the place of this one everywhere.",
    "unused-classes": "`classes` is given, but nothing in the network reads it.",
    "unused-default": "A value under `defaults` reaches no stage.",
    "unused-variable": "Nothing in the network reads a variable.",
    "widened-groups": "`groups` without `base_width` makes the layers of a block wider.",
}
"""What is valid, but probably not meant."""

ERRORS = {
    # The file and its YAML
    "file-not-found": "There is no file, spec, recipe or block file of this name.",
    "unreadable-file": "The file is there, but cannot be read.",
    "not-a-spec": "The file is of another kind: a recipe, a checkpoint, a picture.",
    "empty-file": "The file has no content.",
    "bad-encoding": "The text is not UTF-8, or has a character that YAML does not allow.",
    "limit-exceeded": "The file or the network is larger than archc takes.",
    "yaml-syntax": "The text is not YAML.",
    "yaml-indentation": "Lines that belong together are not indented equally, or by tabs.",
    "yaml-unclosed": "A bracket or a quote is not closed.",
    "yaml-feature": "An anchor, a tag or another part of YAML that specs do without.",
    "duplicate-key": "A mapping has the same key twice.",
    "invalid-key": "A key is missing, or is not a word.",
    "circular-extends": "A file extends or uses itself.",
    # Keys and their values
    "unknown-key": "There is no such key here.",
    "misplaced-key": "The key exists, but belongs elsewhere.",
    "missing-key": "A key that is needed is missing.",
    "missing-value": "A key has no value after its colon.",
    "conflicting-keys": "Two keys cannot be used together.",
    "wrong-type": "A value is of another type than the key takes.",
    "out-of-range": "A number is too small or too large.",
    "invalid-choice": "A word is not among the choices of its key.",
    "invalid-text": "A text has characters that it may not have, or is too long.",
    "malformed-value": "A text is not of the form that its key takes.",
    "inconsistent-values": "Values that are valid by themselves contradict each other.",
    # Stages
    "unknown-block": "There is no block type of this name.",
    "inapplicable-attribute": "The blocks of the stage have no such attribute.",
    "no-stages": "The network, or what is asked of it, needs stages that are not there.",
    "stage-count": "A list has another number of values than the network has stages.",
    # Layers and rows
    "unknown-layer": "There is no layer of this name.",
    "malformed-layer": "A layer is not one word, or one key with its value.",
    "misplaced-layer": "The layer is not allowed in this place.",
    "missing-bias": "A convolution without a norm does not say whether it has a bias.",
    "no-layers": "A row or a block comes to no layers.",
    "malformed-merge": "A merge does not have the branches that it needs.",
    "unknown-value": "There is no value of this name: no label gives it.",
    "unreachable-value": "The value exists, but cannot be read from here.",
    # Names
    "invalid-name": "Something cannot have this name.",
    "duplicate-name": "Two things would have the same name.",
    "missing-placeholder": "A name that several modules share needs a number in it.",
    # Expressions and blocks
    "expression-syntax": "The text is not an expression.",
    "unknown-name": "An expression reads a name that there is not.",
    "used-before-definition": "Something is used before the place where it is written.",
    "circular-definition": "Values or blocks are defined by each other.",
    "expression-type": "An expression is of another type than is needed.",
    "expression-value": "An expression comes to a value that cannot be used.",
    "never-true": "A condition never holds, so that its layer is never there.",
    "unused-attribute": "Nothing in a block reads its attribute or value.",
    # Shapes
    "channel-mismatch": "A layer expects another number of channels than it gets.",
    "size-mismatch": "Values that are merged have different sizes.",
    "shape-mismatch": "A layer gets a vector where it needs a map, or the reverse.",
    "window-too-large": "A window is larger than the map that it slides over.",
    "indivisible-channels": "Channels cannot be divided into so many groups.",
    "failed-check": "A rule that the block's author wrote does not hold.",
    # Expectations
    "unmet-expectation": "The network is not what the spec's `expect` says.",
    # Options, sweeps and other files
    "malformed-option": "The value of an option is not of the form that it takes.",
    "inapplicable-option": "The option is for other kinds of files.",
    "unknown-stage": "There is no stage of this number.",
    "unknown-metric": "There is no column of this name.",
    "empty-range": "A range holds no values.",
    "unknown-device": "There is no device of this name.",
    "malformed-record": "A line of a recorded run cannot be read.",
    "too-many-mistakes": "There are more mistakes from here on; archc stops after so many.",
}
"""What is wrong."""

CODES = {**WARNINGS, **ERRORS}
"""The sentence of each code."""
