"""Commands that end in another program's command line: its options are not ours."""

from collections.abc import Mapping, Sequence

import click

from .command import Command


class ExecCommand(Command):
    """`NAME [OPTIONS] [--] ARGV…`: our options may stand before and after NAME, and end where ARGV begins.

    With `--all` or `--label` there is no NAME: the first word is ARGV's.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        takes_value = {
            spelling: not param.is_flag
            for param in self.get_params(ctx)
            if isinstance(param, click.Option)
            for spelling in param.opts
        }
        return super().parse_args(ctx, split_argv(args, takes_value))


def split_argv(args: Sequence[str], takes_value: Mapping[str, bool]) -> list[str]:
    """Return `args` with `--` before the word that ARGV begins with: the second that belongs to no option."""
    words = 0
    index = 0
    while index < len(args) and args[index] != "--":
        arg = args[index]
        if arg.startswith("-") and len(arg) > 1:
            words += arg.partition("=")[0] in _INSTEAD_OF_NAME and not words
            index += 1 + _next_is_value(arg, takes_value)
            continue
        words += 1
        if words == 2:
            return [*args[:index], "--", *args[index:]]
        index += 1
    return list(args)


_INSTEAD_OF_NAME = frozenset({"--all", "--label", "-l"})


def _next_is_value(arg: str, takes_value: Mapping[str, bool]) -> bool:
    if arg.startswith("--"):
        return "=" not in arg and takes_value.get(arg, False)
    for position, letter in enumerate(arg[1:], start=1):
        if takes_value.get(f"-{letter}", False):
            return position == len(arg) - 1
    return False
