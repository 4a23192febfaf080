"""`weft explain`: what a problem's code means."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from weft.cli._shared import fail, outputs, table, told


def _codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from weft.resources.codes import CODES

    return [CompletionItem(code.name, help=code.meaning) for code in CODES.values() if code.name.startswith(incomplete)]


@click.command()
@click.argument("code", required=False, shell_complete=_codes)
@click.option("--markdown", is_flag=True, help="The whole reference page.")
@outputs("text")
def command(code: str | None, markdown: bool, output: str) -> None:
    """Say what a problem's CODE means and what helps; without CODE, list them."""
    import dataclasses

    from weft.lib.errors import WeftError
    from weft.resources.codes import CODES, page
    from weft.resources.decode import close

    if markdown:
        click.echo(page(), nl=False)
    elif code is None:
        if told([dataclasses.asdict(each) for each in CODES.values()], output):
            return
        click.echo(table(["CODE", "MEANING"], [[each.name, each.meaning] for each in CODES.values()]))
    elif code in CODES:
        found = CODES[code]
        if told(dataclasses.asdict(found), output):
            return
        example = "\n".join(f"    {line}" for line in found.example.splitlines())
        click.echo(f"{found.name}: {found.meaning}\n    hint: {found.hint}\n\nfor example\n\n{example}")
    else:
        fail(WeftError(f"no problem has the code {code}", close(code, CODES) or "`weft explain` lists them"))
