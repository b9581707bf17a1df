"""The stand of each way out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ways.stand import Stand, stand_in


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with stand_in(tmp_path) as made:
        yield made
