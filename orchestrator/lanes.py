"""Workers: some of their own for each Region and for the store, so that no Region's silence takes those of another."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Lock


class Lanes:
    """Executors by target, made when they are first wanted; looks and actions have different ones."""

    def __init__(self, make: Callable[[str], Executor]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: dict[str, Executor] = {}

    @classmethod
    def of_threads(cls, workers: int) -> "Lanes":
        """Make lanes of so many threads each; a lane has no more of them than calls that were in flight at once."""
        return cls(lambda name: ThreadPoolExecutor(workers, thread_name_prefix=f"mrk-{name}"))

    @classmethod
    def of_one(cls, executor: Executor) -> "Lanes":
        """Let one executor do all the work."""
        return cls(lambda _: executor)

    def looking(self, target: str) -> Executor:
        """Return the executor of looks at one Region, or at the store."""
        return self._lane(f"look-{target}")

    def acting(self, target: str) -> Executor:
        """Return the executor of actions there."""
        return self._lane(f"act-{target}")

    def shutdown(self) -> None:
        """Let the workers go. They are not waited for: a call that does not come back must not hold up the end."""
        with self._lock:
            for executor in self._made.values():
                executor.shutdown(wait=False, cancel_futures=True)

    def _lane(self, name: str) -> Executor:
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]
