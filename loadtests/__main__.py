"""`python -m loadtests`: the commands of the load tests, without an installation."""

from __future__ import annotations

import typer

from loadtests.cli import COMMANDS

app = typer.Typer(
    name="loadtests", no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False
)


@app.callback()
def loadtests() -> None:
    """Load on a server of Livedrop, and whether it keeps its promises under it."""


for name, command in COMMANDS.items():
    app.command(name)(command)

if __name__ == "__main__":
    app()
