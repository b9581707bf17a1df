"""Finding what is in a store by walking its directories: for people, never for decisions (P3)."""

import os
from pathlib import Path

from orchestrator.model import EntryName, KeyIdentity

from .guard import check_folder, os_errors
from .layout import folder_of, key_of, name_of

_DEPTH_OF_A_KEY = 3


def entry_names(root: Path, key: KeyIdentity | None) -> tuple[EntryName, ...]:
    """List the names of which there is any file, a mark without its entry included; passes over everything else.

    Raises StoreError where a directory cannot be listed.
    """
    folders = [folder_of(root, key)] if key else _below(root, _DEPTH_OF_A_KEY)
    names = {name for folder in folders for name in _names_in(root, folder)}
    return tuple(sorted(names, key=lambda name: (name.key, name.replaces or "", name.attempt)))


def files_of(root: Path, key: KeyIdentity) -> list[Path]:
    """List the files of a key, in the order of their names."""
    folder = folder_of(root, key)
    with os_errors("list", folder), os.scandir(folder) as found:
        return sorted(Path(item.path) for item in found if name_of(key, item.name) is not None)


def _names_in(root: Path, folder: Path) -> list[EntryName]:
    key = key_of(folder.relative_to(root).parts)
    if key is None or not os.path.lexists(folder):
        return []
    with os_errors("list", folder), os.scandir(folder) as found:
        names = [name_of(key, item.name) for item in found]
    ours = [name for name in names if name is not None]
    if ours:  # Else it is no directory of a store, and may be open to all.
        steps = folder.relative_to(root).parts
        all(check_folder(root.joinpath(*steps[:depth]), root) for depth in range(len(steps) + 1))
    return ours


def _below(folder: Path, depth: int) -> list[Path]:
    if depth == 0:
        return [folder]
    with os_errors("list", folder), os.scandir(folder) as found:
        inner = [Path(item.path) for item in found if item.is_dir(follow_symlinks=False)]
    return [path for each in inner for path in _below(each, depth - 1)]
