"""``--weights FILE``, the options for matching it with a network, and messages on the result."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from archc.cli.common import Command
from archc.cli.terminal import say
from archc.dataclassing import dataclass
from archc.text import quote_name

if TYPE_CHECKING:
    from archc.graph import Network
    from archc.weights import Checkpoint

_HELP = (
    "A checkpoint: .safetensors, .npz, or what torch.save wrote to a .pth; FILE#KEY for one of "
    "several state dicts in it."
)


@dataclass(frozen=True)
class GivenWeights:
    """A checkpoint as the command line gives it."""

    file: str
    rename: tuple[str, ...] = ()
    ema: bool = False
    match: str = "names"
    partial: bool = False

    def read(self) -> Checkpoint:
        """Its tensors, and how they are to be matched. Raises as `archc.read_weights`."""
        from archc import api

        return api.read_weights(
            self.file,
            partial=self.partial,
            rename=self.rename,
            ema=self.ema,
            match="order" if self.match == "order" else "names",
        )


def weights(command: Command) -> Command:
    """``--weights FILE`` with its options, as one `GivenWeights` or None."""
    option = click.option("--weights", metavar="FILE", type=click.Path(readable=False), help=_HELP)
    return option(_matching(command))


def partial_weights(command: Command) -> Command:
    """`weights`, of which ``--partial`` may take a part."""
    option = click.option(
        "--partial",
        is_flag=True,
        help="Load the tensors that fit and keep the rest of the network as initialised; what is "
        "left out is listed.",
    )
    return weights(option(command))


def weights_argument(command: Command) -> Command:
    """``WEIGHTS`` with the options of `weights`; a model that is no spec may have its own."""
    argument = click.argument(
        "weights", metavar="[WEIGHTS]", type=click.Path(readable=False), required=False
    )
    # Other commands have this option, and click's hint for it would be `--with`.
    wrong = click.option(
        "--weights", "_", hidden=True, expose_value=False, is_eager=True, callback=_refuse_option
    )
    return argument(wrong(_matching(command)))


def _refuse_option(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        name = context.info_name
        raise click.UsageError(f"{name} takes the file by itself: archc {name} SPEC WEIGHTS")


def _matching(command: Command) -> Command:
    """``--rename``, ``--ema`` and ``--match``, made one with the file and ``--partial``."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        weights: str | None,
        rename: tuple[str, ...],
        ema: bool,
        match: str | None,
        partial: bool = False,
        **options: Any,
    ) -> Any:
        given = {"--rename": rename, "--ema": ema, "--match": match, "--partial": partial}
        useless = [name for name, value in given.items() if value]
        if weights is None and useless:
            raise click.UsageError(f"{useless[0]} needs --weights")
        found = None
        if weights is not None:
            found = GivenWeights(weights, rename, ema, match or "names", partial)
        return command(*args, weights=found, **options)

    options = (
        click.option(
            "--rename",
            metavar="OLD=NEW",
            multiple=True,
            callback=_check_renames,
            help="Replace OLD, a key of the checkpoint or a prefix of keys, by NEW before keys are "
            "matched; OLD= removes it.",
        ),
        click.option("--ema", is_flag=True, help="Use the averaged weights in the file."),
        click.option(
            "--match",
            type=click.Choice(["names", "order"]),
            help="With order, tensors whose names do not fit are matched by their order, if shapes "
            "agree. [default: names]",
        ),
    )
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # takes what `command` takes, and more


def _check_renames(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    if value:
        from archc.weights import parse_renames

        try:
            parse_renames(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None
    return value


def tell_weights(
    network: Network, checkpoint: Checkpoint, *, deploy: bool, always: bool = True
) -> None:
    """Say on stderr how a checkpoint fits, and which part of it was taken; without ``always`` only
    where there is more to say than that all of it fits."""
    from archc.weights import match_in_words

    lines = match_in_words(network, checkpoint, deploy=deploy, always=always)
    if lines:
        first, *mapping = lines
        say(f"archc: {checkpoint.file}: {first}", *mapping, err=True)
    tell_left_out(checkpoint)


def tell_own_weights(network: Network) -> bool:
    """Say on stderr that a model's own weights are used; False where it has none."""
    model = network.model
    if model is None or not model.has_weights:
        return False
    say(f"archc: {quote_name(model.source)}: the weights are its own", err=True)
    return True


def tell_left_out(checkpoint: Checkpoint) -> None:
    """Say on stderr which objects of a file were not loaded."""
    if checkpoint.left_out is not None:
        say(f"archc: {checkpoint.file}: left out: {checkpoint.left_out}", err=True)
