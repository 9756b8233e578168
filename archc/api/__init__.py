"""What Python programs use: the commands' work as functions.

A spec is the path of a YAML file, the name of a shipped spec (``imagenet/resnet34``), a mapping as
YAML gives it, or what was made of one: a `Design`, a `Network`. Every function raises `SpecError`
where a spec is at fault.

A function is imported when it is first asked for: no file here bears the name of one.
"""

from typing import TYPE_CHECKING

from archc.lazy import exports

if TYPE_CHECKING:
    from archc.api.analyses import (
        compare,
        count,
        diff,
        explain,
        fit,
        memory,
        receptive_fields,
        roofline,
        sweep,
    )
    from archc.api.checking import fix
    from archc.api.foreign import from_export, from_module, from_onnx, is_model, read_model
    from archc.api.lifting import lift, lifted_model
    from archc.api.modules import (
        WeightsLike,
        bench,
        compiled,
        emit,
        export,
        fold,
        fully_convolutional,
        match_weights,
        module,
        origin,
        own_weights,
        read_weights,
        require_torch,
        state_dict,
        to_safetensors,
        verify,
    )
    from archc.api.pictures import draw, figure, report, to_graphml, to_json
    from archc.api.reading import (
        SpecLike,
        check,
        load,
        loads,
        read,
        read_blocks,
        read_changed,
        show,
        specs,
    )

_HOMES = {
    ".analyses": (
        "compare",
        "count",
        "diff",
        "explain",
        "fit",
        "memory",
        "receptive_fields",
        "roofline",
        "sweep",
    ),
    ".lifting": ("lift", "lifted_model"),
    ".foreign": (
        *("from_export", "from_module", "from_onnx", "is_model", "read_model"),
        *("read_changed_model", "runs_code"),
    ),
    ".checking": ("fix",),
    ".modules": (
        "WeightsLike",
        "bench",
        "compiled",
        "emit",
        "export",
        "fold",
        "fully_convolutional",
        "match_weights",
        "module",
        "origin",
        "own_weights",
        "read_weights",
        "require_torch",
        "state_dict",
        "to_safetensors",
        "verify",
    ),
    ".pictures": ("draw", "figure", "report", "to_graphml", "to_json"),
    ".reading": (
        "SpecLike",
        "check",
        "load",
        "loads",
        "read",
        "read_blocks",
        "read_changed",
        "show",
        "specs",
    ),
}

__all__ = [
    "SpecLike",
    "WeightsLike",
    "bench",
    "check",
    "compare",
    "compiled",
    "count",
    "diff",
    "draw",
    "emit",
    "explain",
    "export",
    "figure",
    "fit",
    "fix",
    "fold",
    "from_export",
    "from_module",
    "from_onnx",
    "fully_convolutional",
    "is_model",
    "lift",
    "lifted_model",
    "load",
    "loads",
    "match_weights",
    "memory",
    "module",
    "origin",
    "own_weights",
    "read",
    "read_blocks",
    "read_changed",
    "read_changed_model",
    "read_model",
    "read_weights",
    "receptive_fields",
    "report",
    "require_torch",
    "roofline",
    "runs_code",
    "show",
    "specs",
    "state_dict",
    "sweep",
    "to_graphml",
    "to_json",
    "to_safetensors",
    "verify",
]

__getattr__ = exports(__name__, {name: home for home, names in _HOMES.items() for name in names})
