"""Training and testing of compiled networks: recipes carried out on real images.

A tenant: of networks it knows what `archc` offers to any program.
"""

from typing import TYPE_CHECKING

from archc.errors import DataError, Interrupted, TrainingError
from archc.lazy import exports

if TYPE_CHECKING:
    from archc.training.curves import draw_curves
    from archc.training.evaluation import Subject, evaluate, subject_of_run, subject_of_spec
    from archc.training.loop import Observer, Progress, Silent
    from archc.training.run import Run, open_run
    from archc.training.testing import Score
    from archc.training.training import Trained, TrainOptions, train, workers_for

__all__ = [
    "DataError",
    "Interrupted",
    "Observer",
    "Progress",
    "Run",
    "Score",
    "Silent",
    "Subject",
    "TrainOptions",
    "Trained",
    "TrainingError",
    "draw_curves",
    "evaluate",
    "open_run",
    "subject_of_run",
    "subject_of_spec",
    "train",
    "workers_for",
]

__getattr__ = exports(
    __name__,
    {
        "draw_curves": ".curves",
        **dict.fromkeys(
            ("Subject", "evaluate", "subject_of_run", "subject_of_spec"), ".evaluation"
        ),
        **dict.fromkeys(("Observer", "Progress", "Silent"), ".loop"),
        **dict.fromkeys(("Run", "open_run"), ".run"),
        "Score": ".testing",
        **dict.fromkeys(("Trained", "TrainOptions", "train", "workers_for"), ".training"),
    },
)
