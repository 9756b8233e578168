"""Options that say how specs differ, in the order in which the command line has them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from archc.spec.overrides import Change

Changes: TypeAlias = "tuple[Change, ...]"
"""The `--with`, `--set` and `--input` of a command line, in order."""

OPTIONS = ("with_", "set_", "input_")
"""What click calls the parameters of these options."""
_WORDS = ("--with", "--set", "--input")


class SpecCommand(click.Command):
    """A command that takes specs: in place of `OPTIONS` its function gets one, ``changes``.

    click hands a function the values of each option by themselves; in which order the options
    came, its parser alone knows.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Like click's."""
        order: list[str | None] = []
        if any(one.startswith(_WORDS) for one in args):
            with suppress(click.UsageError):  # it comes again below
                _, _, parameters = self.make_parser(ctx).parse_args(args=list(args))
                order = [one.name for one in parameters]
        rest = super().parse_args(ctx, args)
        given = {name: iter(ctx.params.pop(name, None) or ()) for name in OPTIONS}
        if any(name in order for name in OPTIONS):
            from archc.spec.overrides import InputSize, Set

            kinds = {"with_": str, "set_": Set, "input_": InputSize}
            found = [kinds[name](next(given[name])) for name in order if name in OPTIONS]
            ctx.params["changes"] = tuple(found)
        else:
            ctx.params["changes"] = ()
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Like click's; hints then know which options the command takes."""
        from archc.source.caller import with_options

        with with_options({option for one in self.params for option in one.opts}):
            return super().invoke(ctx)
