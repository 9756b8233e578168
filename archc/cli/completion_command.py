"""``archc completion``."""

from __future__ import annotations

import click

from archc.cli.common import put_out


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the shell completion script; it completes commands, options, specs and values.

    \b
    Examples:
      eval "$(archc completion bash)"                       # in ~/.bashrc
      eval "$(archc completion zsh)"                        # in ~/.zshrc
      archc completion fish > ~/.config/fish/completions/archc.fish
    """
    from click.shell_completion import get_completion_class

    from archc.cli.shells import VARIABLE, register

    register()
    root = context.find_root().command
    completion = get_completion_class(shell)
    assert completion is not None
    put_out(completion(root, {}, "archc", VARIABLE).source() + "\n", None)
