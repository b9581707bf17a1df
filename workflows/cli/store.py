"""mrk store: make the store, list what it holds."""

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.compose import make_store
from orchestrator.errors import Exit
from orchestrator.model import ADOPTED, Entry, EntryName, short
from orchestrator.report import documents
from orchestrator.settings import StoreSettings
from workflows.cli.common import check, opened, settings_of
from workflows.cli.options import Options, with_options
from workflows.cli.results import write, write_json

app = typer.Typer(help="The store of key material: make it, list it.", no_args_is_help=True, rich_markup_mode=None)


@app.command("init")
@with_options
def init(
    *,
    change: Annotated[
        bool, typer.Option("--change", help="Protect what is stored from now on as the config says: key and Regions.")
    ] = False,
    options: Options,
) -> int:
    """Make the store that the config names, stamped for the place that its keys are in."""
    settings = settings_of(options)
    check(settings, options, [])
    make_store(settings, settings.store.recipients, change=change)
    store = {"uri": settings.store.uri, "protection": _protection(settings.store)}
    if options.as_json:
        write_json(documents.envelope(Exit.OK, store=store))
    else:
        write(f"store ready: {store['uri']}, {store['protection']}")
    return Exit.OK


@app.command("list")
@with_options
def list_entries(*, options: Options) -> int:
    """List every entry: which key, which material, readable or not."""
    with opened(options, changing=False) as called:
        entries = called.engine.store.entries()
    code = Exit.BLOCKED if any(entry.receipt is None for entry in entries) else Exit.OK
    if options.as_json:
        write_json(documents.envelope(code, entries=[_document(entry) for entry in entries]))
    else:
        write(*_tables(entries))
    return code


def _protection(store: StoreSettings) -> str:
    if store.recipients:
        return f"sealed to {len(store.recipients)} recipients"
    key = store.kms_key or "AWS's own key"
    return ", ".join([f"encrypted with {key}", *(f"replicated to {region}" for region in store.replica_regions)])


def _tables(entries: tuple[Entry, ...]) -> Iterator[RenderableType]:
    """Show the entries of each key under its name, which is too long for a column."""
    for key, found in groupby(entries, lambda entry: entry.name.key):
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for column in ("entry", "key material", "marks"):
            table.add_column(column, overflow="fold")
        for entry in found:
            table.add_row(_entry(entry.name), short(entry.linked), _marks(entry))
        yield Group(Text(str(key), style="bold"), table)


def _entry(name: EntryName) -> str:
    """Name an entry as its files are named, and say which came from a file of the user's."""
    replaces = short(name.replaces) + "…" if name.replaces else "first"
    return f"{replaces}.{name.attempt}" + (" (adopted)" if name.attempt >= ADOPTED else "")


def _marks(entry: Entry) -> str:
    marks = [
        "readable" if entry.receipt else f"UNREADABLE: {entry.problem}",
        *(["probe"] if entry.probe else []),
        *(["proven"] if entry.proven else []),
        *(["discarded"] if entry.discarded_at else []),
    ]
    return ", ".join(marks)


def _document(entry: Entry) -> dict[str, object]:
    return {
        "entry": str(entry.name),
        "key": str(entry.name.key),
        "replaces": entry.name.replaces,
        "attempt": entry.name.attempt,
        "material_id": entry.linked,
        "readable": entry.receipt is not None,
        "problem": entry.problem or None,
        "probe": entry.probe,
        "proven": entry.proven,
        "discarded_at": entry.discarded_at,
    }
