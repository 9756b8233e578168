"""click's shells, with values that begin with ``-`` and no blank behind ``depth=``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

if TYPE_CHECKING:
    _Base = ShellComplete
else:
    _Base = object

VARIABLE = "_ARCHC_COMPLETE"
"""What the shells' scripts set in the environment when they ask."""

_BASH_END = "    return 0\n"
_BASH_NO_BLANK = """\
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi

"""
_ZSH_PLAIN = "        compadd -U -V unsorted -a completions\n"
_ZSH_NO_BLANK = """\
        local -a begun=(${(M)completions:#*=}) finished=(${completions:#*=})
        compadd -U -V unsorted -S '' -a begun
        compadd -U -V unsorted -a finished
"""


class _DashedValues(_Base):
    """Offers values that begin with ``-`` behind an option, as ``--sort -params``.

    click takes whatever begins so for another option.
    """

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """What can stand for the incomplete word behind the arguments before it."""
        if incomplete.startswith("-") and args and args[-1].startswith("-"):
            offered = super().get_completions(args, "")
            values = [item for item in offered if str(item.value).startswith(incomplete)]
            if values:
                return values
        return super().get_completions(args, incomplete)


class _Bash(_DashedValues, BashComplete):
    source_template = BashComplete.source_template.replace(_BASH_END, _BASH_NO_BLANK + _BASH_END)


class _Zsh(_DashedValues, ZshComplete):
    source_template = ZshComplete.source_template.replace(_ZSH_PLAIN, _ZSH_NO_BLANK)


class _Fish(_DashedValues, FishComplete):
    """fish itself puts no blank behind an equals sign."""


def register() -> None:
    """Have click use these."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)
