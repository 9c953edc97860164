"""`vendetta completion`: the script that makes a shell complete our commands."""

import click
from click.shell_completion import get_completion_class

from .command import command


@command(
    "completion",
    examples="""
        eval "$(vendetta completion bash)"
        vendetta completion zsh > ~/.zfunc/_vendetta
        vendetta completion fish > ~/.config/fish/completions/vendetta.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    made_for = get_completion_class(shell)
    if made_for is None:
        raise click.BadParameter(f"click does not know {shell}")
    click.echo(made_for(ctx.find_root().command, {}, "vendetta", "_VENDETTA_COMPLETE").source())
