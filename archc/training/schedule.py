"""The learning rate as it depends on the iteration, the training error and the test error."""

from __future__ import annotations

import math
from typing import Any

from archc.dataclassing import dataclass
from archc.recipes import Recipe


@dataclass
class Schedule:
    """The state of a recipe's learning rate; errors are in percent.

    ``divisions`` counts those by plateaus, ``best`` is the least test error since the last,
    ``stale`` how many evaluations have not improved on it.
    """

    recipe: Recipe
    warming: bool
    divisions: int = 0
    best: float | None = None
    stale: int = 0

    @classmethod
    def begin(cls, recipe: Recipe, layers: int) -> Schedule:
        """The schedule of a network of that many layers, before the first iteration."""
        warm_up = recipe.warm_up
        return cls(recipe, warm_up is not None and layers >= warm_up.from_layers)

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0."""
        rate, warm_up = self.recipe.learning_rate, self.recipe.warm_up
        rising = rate.warm_up_iterations or 0
        if iteration < rising:
            return rate.initial * (iteration + 1) / rising
        if rate.schedule == "cosine":
            part = (iteration - rising) / (self.recipe.header.iterations - rising)
            final = rate.final or 0.0
            planned = final + (rate.initial - final) * (1 + math.cos(math.pi * part)) / 2
        else:
            passed = sum(iteration >= one for one in rate.at or ())
            planned = rate.initial / rate.divide_by ** (passed + self.divisions)
        return min(planned, warm_up.learning_rate) if self.warming and warm_up else planned

    def trained(self, error: float) -> None:
        """Take in the training error of the last iterations: warming up ends below a threshold."""
        warm_up = self.recipe.warm_up
        self.warming = self.warming and warm_up is not None and error >= warm_up.until_error

    def tested(self, error: float) -> None:
        """Take in a test error: where it plateaus, the rate is divided, once warm."""
        rate = self.recipe.learning_rate
        if rate.patience is None or self.warming:
            return
        if self.best is None or error < self.best - rate.threshold:
            self.best, self.stale = error, 0
            return
        self.stale += 1
        if self.stale >= rate.patience:
            self.divisions, self.best, self.stale = self.divisions + 1, error, 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {key: value for key, value in vars(self).items() if key != "recipe"}

    @classmethod
    def restore(cls, recipe: Recipe, state: dict[str, Any]) -> Schedule:
        """The schedule that a checkpoint kept."""
        return cls(recipe, **state)
