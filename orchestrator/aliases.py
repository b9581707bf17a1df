"""Aliases, resolved side by side: keys that are named by their ARN do not wait for a Region that does not answer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import datetime, timedelta

from orchestrator.durations import spoken
from orchestrator.errors import KmsError, Trouble
from orchestrator.kms import KmsFactory
from orchestrator.lanes import Lanes
from orchestrator.model import KeyArn, Region, region_of
from orchestrator.reach import Reach

LONGEST = 20.0
"""Seconds after which aliases are given up, where none was resolved meanwhile."""

_SIDE_BY_SIDE = 8
"""Calls at once in one Region."""

BY_ARN = "name the key by its ARN (.../key/KEY-ID): its other Regions are kept alive then while this one is silent"


def resolve(
    kms: KmsFactory, now: Callable[[], datetime], aliases: Iterable[str], longest: float = LONGEST
) -> Mapping[str, KeyArn | KmsError]:
    """Tell which key each alias leads to, or why that cannot be told."""
    lanes, reach = Lanes.of_threads(_SIDE_BY_SIDE), Reach(now)

    def ask(region: Region, alias: str) -> KeyArn:
        return reach(region, lambda: kms(region).resolve(alias))

    regions = {alias: region_of(alias) for alias in aliases}
    asked = {lanes.looking(where).submit(ask, where, alias): alias for alias, where in regions.items()}
    try:
        found = dict(_answers(asked, longest))
    finally:
        lanes.shutdown()
    return {alias: found.get(alias) or _silent(where, alias, longest) for alias, where in regions.items()}


def _answers(asked: Mapping[Future[KeyArn], str], longest: float) -> Iterator[tuple[str, KeyArn | KmsError]]:
    """Take in answers as they come, until none does for so many seconds."""
    waiting = set(asked)
    while waiting:
        done, waiting = wait(waiting, longest, FIRST_COMPLETED)
        if not done:
            return
        yield from ((asked[one], _told(one)) for one in done)


def _told(answer: Future[KeyArn]) -> KeyArn | KmsError:
    try:
        return answer.result()
    except KmsError as error:
        if error.trouble is Trouble.TRANSIENT:
            error.hint = error.hint or BY_ARN
        return error


def _silent(region: Region, alias: str, longest: float) -> KmsError:
    message = f"DescribeKey on {alias} got no answer: none came within {spoken(timedelta(seconds=longest))}"
    return KmsError(message, BY_ARN, trouble=Trouble.TRANSIENT, operation="DescribeKey", region=region)
