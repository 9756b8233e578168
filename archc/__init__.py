"""archc compiles YAML specs of convolutional networks into counts, figures and torch modules."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archc.api import WeightsLike as WeightsLike
    from archc.api import bench as bench
    from archc.api import check as check
    from archc.api import compare as compare
    from archc.api import compiled as compiled
    from archc.api import count as count
    from archc.api import diff as diff
    from archc.api import draw as draw
    from archc.api import emit as emit
    from archc.api import explain as explain
    from archc.api import export as export
    from archc.api import fit as fit
    from archc.api import fix as fix
    from archc.api import fold as fold
    from archc.api import from_export as from_export
    from archc.api import from_module as from_module
    from archc.api import from_onnx as from_onnx
    from archc.api import fully_convolutional as fully_convolutional
    from archc.api import lift as lift
    from archc.api import load as load
    from archc.api import loads as loads
    from archc.api import match_weights as match_weights
    from archc.api import memory as memory
    from archc.api import module as module
    from archc.api import origin as origin
    from archc.api import read as read
    from archc.api import read_weights as read_weights
    from archc.api import receptive_fields as receptive_fields
    from archc.api import report as report
    from archc.api import roofline as roofline
    from archc.api import show as show
    from archc.api import specs as specs
    from archc.api import state_dict as state_dict
    from archc.api import sweep as sweep
    from archc.api import to_graphml as to_graphml
    from archc.api import to_json as to_json
    from archc.api import to_safetensors as to_safetensors
    from archc.api import verify as verify
    from archc.backends.figure import FigureError as FigureError
    from archc.backends.onnx import OnnxError as OnnxError
    from archc.backends.pytorch import EmitError as EmitError
    from archc.choices import Backend as Backend
    from archc.choices import ConventionName as ConventionName
    from archc.choices import Detail as Detail
    from archc.choices import Dtype as Dtype
    from archc.choices import ExportFormat as ExportFormat
    from archc.choices import FigureFormat as FigureFormat
    from archc.choices import Heat as Heat
    from archc.choices import Level as Level
    from archc.choices import ThemeName as ThemeName
    from archc.choices import TimedDtype as TimedDtype
    from archc.commands import build as build
    from archc.commands import curves as curves
    from archc.commands import list as list
    from archc.commands import new as new
    from archc.commands import schema as schema
    from archc.commands import watch as watch
    from archc.design import Design as Design
    from archc.devices import DeviceError as DeviceError
    from archc.devices import RunError as RunError
    from archc.errors import ArchcError as ArchcError
    from archc.errors import ArchcWarning as ArchcWarning
    from archc.errors import OutputError as OutputError
    from archc.errors import SpecWarning as SpecWarning
    from archc.errors import SweepError as SweepError
    from archc.errors import TrainingError as TrainingError
    from archc.errors import WeightsWarning as WeightsWarning
    from archc.frontends.program import ForeignError as ForeignError
    from archc.graph import Convolutional as Convolutional
    from archc.graph import Network as Network
    from archc.graph import NotConvolutionalError as NotConvolutionalError
    from archc.spec import SpecError as SpecError
    from archc.training.facade import evaluate as evaluate
    from archc.training.facade import train as train
    from archc.weights import WeightsError as WeightsError

__version__ = "0.1.0"
__all__ = [
    "ArchcError",
    "ArchcWarning",
    "Backend",
    "ConventionName",
    "Convolutional",
    "Design",
    "Detail",
    "DeviceError",
    "Dtype",
    "EmitError",
    "ExportFormat",
    "FigureError",
    "FigureFormat",
    "ForeignError",
    "Heat",
    "Level",
    "Network",
    "NotConvolutionalError",
    "OnnxError",
    "OutputError",
    "RunError",
    "SpecError",
    "SpecWarning",
    "SweepError",
    "ThemeName",
    "TimedDtype",
    "TrainingError",
    "WeightsError",
    "WeightsWarning",
    "bench",
    "build",
    "check",
    "compare",
    "compiled",
    "count",
    "curves",
    "diff",
    "draw",
    "emit",
    "evaluate",
    "explain",
    "export",
    "fit",
    "fix",
    "fold",
    "from_export",
    "from_module",
    "from_onnx",
    "fully_convolutional",
    "lift",
    "list",
    "load",
    "loads",
    "match_weights",
    "memory",
    "module",
    "new",
    "origin",
    "read",
    "read_weights",
    "receptive_fields",
    "report",
    "roofline",
    "schema",
    "show",
    "specs",
    "state_dict",
    "sweep",
    "to_graphml",
    "to_json",
    "to_safetensors",
    "train",
    "verify",
    "watch",
]

_HOMES = {
    **dict.fromkeys(
        (
            "Backend",
            "ConventionName",
            "Detail",
            "Dtype",
            "ExportFormat",
            "FigureFormat",
            "Heat",
            "Level",
            "ThemeName",
            "TimedDtype",
        ),
        "archc.choices",
    ),
    **dict.fromkeys(("build", "curves", "list", "new", "schema", "watch"), "archc.commands"),
    "DeviceError": "archc.devices",
    "FigureError": "archc.backends.figure",
    "Convolutional": "archc.graph",
    "Design": "archc.design",
    "Network": "archc.graph",
    "NotConvolutionalError": "archc.graph",
    "OnnxError": "archc.backends.onnx",
    "ArchcError": "archc.errors",
    "ArchcWarning": "archc.errors",
    "OutputError": "archc.errors",
    "RunError": "archc.devices",
    "SpecError": "archc.spec",
    "SweepError": "archc.errors",
    "TrainingError": "archc.errors",
    "SpecWarning": "archc.errors",
    "WeightsError": "archc.weights",
    "evaluate": "archc.training.facade",
    "train": "archc.training.facade",
    "WeightsWarning": "archc.errors",
    "EmitError": "archc.backends.pytorch",
    "ForeignError": "archc.frontends.program",
}


def __getattr__(name: str) -> Any:
    """Import the library when it is first used, so that ``archc --version`` need not."""
    if name not in __dir__():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "archc.api")), name)


def __dir__() -> Sequence[str]:
    """What is public."""
    return [*__all__, "__version__"]
