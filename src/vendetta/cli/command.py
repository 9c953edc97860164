"""What every command shares: help with sections and colour, `-h`, the global options anywhere on the line, lazy groups.

Plain click with a formatter of our own: importing rich-click costs 14 ms on each start.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from vendetta.errors import nearest

from .session import Session

F = Callable[..., Any]
G = TypeVar("G", bound=Callable[..., Any])


class Formatter(click.HelpFormatter):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "max_width": 110})

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or click.style("Usage:", bold=True) + " ")

    def write_heading(self, heading: str) -> None:
        super().write_heading(click.style(heading, bold=True))

    def write_dl(self, rows: Any, col_max: int = 34, col_spacing: int = 2) -> None:
        super().write_dl([(click.style(term, fg="cyan"), text) for term, text in rows], col_max, col_spacing)


class Context(click.Context):
    formatter_class = Formatter


_WHOLE_SENTENCE = 200
SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"]}


def _record(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    session = ctx.find_object(Session)
    if session is not None and param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
        setattr(session, param.name, value)
        if session.no_color:
            ctx.color = False


def global_options() -> list[click.Option]:
    """Return a new set of them, because click keeps state in its options."""
    shared: dict[str, Any] = {"callback": _record, "expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["--server"], metavar="URL", help="unix:///path, http(s)://HOST:PORT  [VENDETTA_SERVER]", **shared
        ),
        click.Option(["--token"], metavar="TOKEN", help="Token for a server on TCP.  [VENDETTA_TOKEN]", **shared),
        click.Option(
            ["-o", "--output"],
            type=click.Choice(["table", "json", "yaml", "name"]),
            help="How to print: table (default), json, yaml or name.",
            **shared,
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="No notes and no progress.", **shared),
        click.Option(["--no-color"], is_flag=True, help="No colour.  [NO_COLOR]", **shared),
        click.Option(
            ["-v", "verbose"],
            is_flag=True,
            help="Show new host keys as pictures, and the cause of unexpected errors.",
            **shared,
        ),
    ]


def write_options(
    ctx: click.Context, formatter: click.HelpFormatter, heading: str, params: Sequence[click.Parameter]
) -> None:
    records = [param.get_help_record(ctx) for param in params if isinstance(param, click.Option)]
    if any(records):
        with formatter.section(heading):
            formatter.write_dl([record for record in records if record])


class Command(click.Command):
    """A command that takes the global options too. `examples` are shown at the end of its help."""

    context_class = Context

    def __init__(self, *args: Any, examples: str = "", **attributes: Any) -> None:
        attributes["context_settings"] = {**SETTINGS, **attributes.get("context_settings", {})}
        super().__init__(*args, **attributes)
        self._examples = examples

    @cached_property
    def _global_options(self) -> list[click.Option]:
        return global_options()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *self._global_options]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(ctx, formatter, "Options", super().get_params(ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self._examples:
            with formatter.section("Examples"):
                for line in self._examples.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")
        formatter.write(f'\nGlobal options (--output, --server, …): see "{ctx.find_root().info_name} --help".\n')


class Group(click.Group):
    """A group whose commands are imported when they are used.

    `sections` maps a heading to the names below it, and each name to `module:attribute` of its command.
    """

    context_class = Context

    def __init__(
        self,
        name: str,
        *,
        sections: Mapping[str, Mapping[str, str]],
        aliases: Mapping[str, str] | None = None,
        params: Sequence[click.Parameter] = (),
        help: str,
    ) -> None:
        super().__init__(name, help=help, params=list(params), context_settings=dict(SETTINGS))
        self._sections = sections
        self._aliases = aliases or {}
        self._targets = {name: target for section in sections.values() for name, target in section.items()}

    @cached_property
    def _global_options(self) -> list[click.Option]:
        return global_options()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *self._global_options]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self._targets.get(self._aliases.get(cmd_name, cmd_name))
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f'there is no command "{args[0]}".{nearest(args[0], self._targets)}', ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in self._sections.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                if command is not None:
                    rows.append((name, command.get_short_help_str(_WHOLE_SENTENCE)))
            with formatter.section(heading):
                formatter.write_dl(rows)
        if ctx.parent is None:
            write_options(ctx, formatter, "Global options", self.get_params(ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f'\nMore about one command: "{ctx.command_path} COMMAND --help".\n')


def command(
    name: str, *, cls: type[Command] = Command, examples: str = "", **attributes: Any
) -> Callable[[F], Command]:
    """Make a function a command; its docstring is the help."""
    return click.command(name, cls=cls, examples=examples, **attributes)


def pass_session(function: G) -> G:
    """Pass the session to the function as its first argument."""
    return cast(G, click.make_pass_decorator(Session)(function))
