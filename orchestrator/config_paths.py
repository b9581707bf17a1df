"""Paths in settings: what may stand in one, and what a relative one is relative to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, WithJsonSchema

from orchestrator.errors import UsageError
from orchestrator.trusted import handed_over

Where = tuple[str, ...]
Model = TypeVar("Model", bound=BaseModel)

_FILE = "file:"
_STRAY = "\"' \t\r\n"
_PATTERN = r"^[^\s\"'$]([^$]*[^\s\"'$])?$"
_MOST_LINKS = 40
_KUBERNETES = "..data"
"""What the files of a mounted ConfigMap lead through: a link to a directory with another name in every pod."""


class StoreUri(str):
    """The URI of a store; one `file:` holds a path."""

    __slots__ = ()

    @property
    def is_relative(self) -> bool:
        """Whether it holds a relative path."""
        location = self.removeprefix(_FILE)
        return location not in {self, ""} and not location.startswith("/")

    def below(self, base: Path) -> "StoreUri":
        """Return the URI with an absolute path, where it holds a relative one."""
        return StoreUri(f"{_FILE}{below(base, Path(self.removeprefix(_FILE)))}") if self.is_relative else self


def written(text: Any) -> Any:
    """Read a path as it is written, with `~` for a home directory; raises ValueError where no path can be meant."""
    if not isinstance(text, str):
        return text
    if not text:
        raise ValueError("it is empty; leave it out, or name a path")
    if text[0] in _STRAY or text[-1] in _STRAY:
        raise ValueError("it begins or ends with a quote or with white space, which would be part of the path")
    if "$" in text:
        raise ValueError("a path holds no variables ($): write it out; ~ stands for your home directory")
    return Path(_with_home(text) if text.startswith("~") else text)


def _written_uri(text: str) -> StoreUri:
    location = text.removeprefix(_FILE)
    path = location.removeprefix("//")
    if location == text or not path:
        return StoreUri(text)
    found = written(path)
    return StoreUri(f"{_FILE}{found}" if path.startswith("~") else text)


FilePath = Annotated[Path, BeforeValidator(written), WithJsonSchema({"type": "string", "pattern": _PATTERN})]
StorePlace = Annotated[str, AfterValidator(_written_uri), WithJsonSchema({"type": "string", "pattern": "^[^$]+$"})]


def _with_home(text: str) -> str:
    user, _, rest = text[1:].partition("/")
    home = os.path.expanduser(f"~{user}")  # noqa: PTH111 - pathlib's raises RuntimeError
    if not user and not os.environ.get("HOME", "/").startswith("/"):
        raise ValueError("~ leads nowhere: HOME is not an absolute path")
    if home.startswith("~"):
        unknown = (
            f"this machine knows no user {user}" if user else f"HOME is not set, and user id {os.getuid()} has none"
        )
        raise ValueError(f"~{user} leads nowhere: {unknown}")
    return str(Path(home, rest.lstrip("/")))


def rooted(settings: Model, folder: Path | None, by_hand: Callable[[Where], str], where: Where = ()) -> Model:
    """Make every path in settings absolute.

    A relative one belongs to `folder`, the config's; one that somebody gave `by_hand`, which tells how, to the working
    directory. So does any, where there is no folder; but no store: that raises UsageError.
    """

    def absolute(value: Any, where: Where) -> Any:
        if isinstance(value, BaseModel):
            return rooted(value, folder, by_hand, where)
        if isinstance(value, dict):
            return {name: absolute(one, (*where, str(name))) for name, one in value.items()}
        if isinstance(value, tuple):
            return tuple(absolute(one, (*where, str(number))) for number, one in enumerate(value))
        if isinstance(value, Path) and not value.is_absolute():
            return below(_here() if folder is None or by_hand(where) else folder, value)
        if isinstance(value, StoreUri):
            _refuse_relative(value, by_hand(where) or ("" if folder else "a config from a pipe"))
            return value.below(folder) if folder else value
        return value

    found = {name: absolute(getattr(settings, name), (*where, name)) for name in type(settings).model_fields}
    changed = {name: value for name, value in found.items() if value != getattr(settings, name)}
    return settings.model_copy(update=changed) if changed else settings


def _refuse_relative(uri: StoreUri, by: str) -> None:
    if by and uri.is_relative:
        said = f"store.uri '{uri}' is a relative path: it would be another store in every directory"
        raise UsageError(
            f"{by}: {said}", "write file:/var/lib/mrk/store; only the file of a config may hold a relative one"
        )


def below(base: Path, path: Path) -> Path:
    """Join a relative path to a directory; `base` holds no symbolic link, so that `..` is the directory above it."""
    while path.parts[:1] == ("..",):
        base, path = base.parent, Path(*path.parts[1:])
    return base / path


def folder_of(config: Path | None) -> Path | None:
    """Return the real directory of a config; nothing for one from a pipe, which has none."""
    return None if config is None or handed_over(config) else real_path(config).parent


def _here() -> Path:
    """Return the working directory, without symbolic links; raises UsageError where it was removed."""
    try:
        return Path.cwd()
    except OSError as error:
        hint = "change to a directory that is there, or write paths that begin with /"
        raise UsageError(f"the working directory cannot be read: {error.strerror}", hint) from None


def at_home(path: Path) -> Path:
    """Find a path of the command line whose `~` the shell left as it was, as in --config=~/config.yaml."""
    if not str(path).startswith("~") or path.exists():
        return path
    try:
        return Path(_with_home(str(path)))
    except ValueError as error:
        raise UsageError(str(error), "name the file by its whole path") from None


def real_path(config: Path) -> Path:
    """Follow every symbolic link to a config, but not the one by which Kubernetes changes a mounted directory."""
    for _ in range(_MOST_LINKS):
        config = config.parent.resolve() / config.name
        if not config.is_symlink() or config.readlink().parts[0] == _KUBERNETES:
            break
        config = config.parent / config.readlink()
    return config
