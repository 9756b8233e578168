"""``archc completion``."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the shell completion script; it completes commands, options and shipped specs.

    \b
    Examples:
      eval "$(archc completion bash)"                       # in ~/.bashrc
      eval "$(archc completion zsh)"                        # in ~/.zshrc
      archc completion fish > ~/.config/fish/completions/archc.fish
    """
    from click.shell_completion import get_completion_class

    root = context.find_root().command
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(root, {}, "archc", "_ARCHC_COMPLETE").source())
