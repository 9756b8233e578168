"""Training and testing of compiled networks: recipes carried out on real images."""

from archc.errors import DataError, Interrupted, TrainingError
from archc.training.curves import draw as draw_curves
from archc.training.evaluate import Subject, evaluate, subject_of_run, subject_of_spec
from archc.training.loop import Observer, Progress, Silent
from archc.training.run import Run, open_run
from archc.training.testing import Score
from archc.training.train import Trained, TrainOptions, train, workers_for

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
