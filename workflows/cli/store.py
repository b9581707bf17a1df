"""mrk store: make the store, list what it holds, see that all of it opens."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator import compose
from orchestrator.config_paths import at_home
from orchestrator.errors import Exit
from orchestrator.model import ADOPTED, Entry, EntryName, KeyIdentity, MissingOld, short
from orchestrator.report import documents
from orchestrator.settings import Settings, StoreSettings
from workflows.cli.common import check as check_settings
from workflows.cli.common import opened, settings_of
from workflows.cli.options import Options, with_options
from workflows.cli.results import write, write_json, write_text
from workflows.cli.store_check import by_entry, findings, of_entry

app = typer.Typer(
    help="The store of key material: make it, list it, check it.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("init")
@with_options
def init(
    *,
    change: Annotated[
        bool, typer.Option("--change", help="Protect new entries with the KMS keys and Regions of the config.")
    ] = False,
    options: Options,
) -> int:
    """Make the store that the config names. It is stamped for the place that its keys are in."""
    settings = settings_of(options)
    check_settings(settings, options, [])
    compose.make_store(settings, settings.store.recipients, change=change)
    store = {"uri": settings.store.uri, "protection": _protection(settings.store)}
    if options.as_json:
        write_json(documents.envelope(Exit.OK, store=store))
        return Exit.OK
    write(f"store ready: {store['uri']}, {store['protection']}")
    if settings.store.recipients:
        write("once it holds an entry, try every identity, the one in the safe, too: mrk store check --identity FILE")
    return Exit.OK


@app.command("list")
@with_options
def list_entries(*, options: Options) -> int:
    """List every entry of the store. Each tells its key, its material and its marks; exit 4 where one is wrong."""
    with opened(options, changing=False) as called:
        entries = called.engine.store.entries()
    names = compose.key_names(called.settings)
    code = Exit.BLOCKED if any(list(of_entry(entry)) for entry in entries) else Exit.OK
    if options.as_json:
        write_json(documents.envelope(code, entries=[_document(entry, names) for entry in entries]))
    else:
        write(*_tables(entries, names))
    return code


@app.command("check")
@with_options
def check(
    *,
    identity: Annotated[
        Path | None, typer.Option("--identity", help="Open every entry with this age identity, not with the config's.")
    ] = None,
    options: Options,
) -> int:
    """Open every entry, and compare its marks. Exit 0 where all is sound, 4 where anything is not."""
    settings, identity = settings_of(options), at_home(identity) if identity else None
    store = compose.open_alone(settings, identity)
    stranger = compose.stranger(settings, identity) if identity else ""
    names, entries = compose.key_names(settings), store.entries()
    may_lack = [key for key, name in names.items() if _may_lack_old(settings, name)]
    wrong = by_entry(findings(store, entries, names, may_lack))
    uncompared = [name for name in settings.keys if name not in names.values()]
    code = Exit.BLOCKED if wrong or stranger else Exit.FAILED if uncompared else Exit.OK
    if options.as_json:
        found = [{"entry": str(name), "name": names.get(name.key), "wrong": what} for name, what in wrong.items()]
        about = {"uri": str(store), "problem": stranger or None, "not_compared": uncompared}
        told = [_document(entry, names) for entry in entries]
        write_json(documents.envelope(code, store=about, entries=told, findings=found))
        return code
    lines = [line for name, what in wrong.items() for line in (f"{_named(name.key, names)} {_entry(name)}", *what)]
    # Not folded: a command that is told is there to be copied.
    lines += [f"{name}: its alias leads nowhere now, so that its entries are not known" for name in uncompared]
    lines += [*([stranger] if stranger else []), _verdict(entries, code, identity)]
    write_text("".join(f"{line}\n" for line in lines))
    return code


def _may_lack_old(settings: Settings, name: str) -> bool:
    return settings.policy(settings.keys[name]).missing_old is MissingOld.ALLOW


def _verdict(entries: Sequence[Entry], code: Exit, identity: Path | None) -> str:
    opens, all_of = sum(entry.receipt is not None for entry in entries), len(entries)
    by = f" with {identity}" if identity else ""
    judged = {Exit.OK: "sound", Exit.FAILED: "NOT all compared"}.get(code, "NOT sound")
    return f"{judged}: {opens} of {all_of} entries open{by}"


def _protection(store: StoreSettings) -> str:
    if store.recipients:
        return f"sealed to {len(store.recipients)} recipients"
    key = store.kms_key or "AWS's own key"
    made = [f"made by {store.mac_key}"] if store.mac_key else []
    return ", ".join([f"encrypted with {key}", *made, *(f"replicated to {region}" for region in store.replica_regions)])


def _tables(entries: Sequence[Entry], names: Mapping[KeyIdentity, str]) -> Iterator[RenderableType]:
    """Show the entries of each key under its name, which is too long for a column, as is what is wrong with one."""
    for key, of_key in groupby(entries, lambda entry: entry.name.key):
        found = list(of_key)
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for column in ("entry", "key material", "marks"):
            table.add_column(column, overflow="fold")
        for entry in found:
            table.add_row(_entry(entry.name), short(entry.linked), _marks(entry))
        wrong = [Text(f"{_entry(entry.name)}: {one}", style="red") for entry in found for one in of_entry(entry)]
        yield Group(Text(_named(key, names), style="bold"), table, *wrong)


def _named(key: KeyIdentity, names: Mapping[KeyIdentity, str]) -> str:
    """Name a key as the config does, and as its entries are named."""
    return f"{names[key]}  {key}" if key in names else str(key)


def _entry(name: EntryName) -> str:
    """Name an entry as its files are named, and say which came from a file of the user's."""
    replaces = short(name.replaces) + "…" if name.replaces else "first"
    return f"{replaces}.{name.attempt}" + (" (adopted)" if name.attempt >= ADOPTED else "")


def _marks(entry: Entry) -> str:
    marks = [
        *(["readable"] if entry.receipt else []),
        *(["probe"] if entry.probe else []),
        *(["proven"] if entry.proven else []),
        *(["discarded"] if entry.discarded_at else []),
        *(["made elsewhere"] if entry.receipt and not entry.ours else []),
        *(["WRONG, see below"] if any(of_entry(entry)) else []),
    ]
    return ", ".join(marks)


def _document(entry: Entry, names: Mapping[KeyIdentity, str]) -> dict[str, object]:
    return {
        "entry": str(entry.name),
        "key": str(entry.name.key),
        "name": names.get(entry.name.key),
        "replaces": entry.name.replaces,
        "attempt": entry.name.attempt,
        "material_id": entry.linked,
        "claimed": entry.claimed,
        "readable": entry.receipt is not None,
        "problem": entry.told or None,
        "damage": dict(entry.damage),
        "probe": entry.probe,
        "proven": entry.proven,
        "proofs": {region: str(how) for region, how in entry.proofs.items()},
        "discarded_at": entry.discarded_at,
        "ours": entry.ours,
        "made_at": entry.made_at,
    }
