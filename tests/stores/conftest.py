from pathlib import Path

import pytest
from store_kit import FileStand, WrappingKey


@pytest.fixture(scope="session")
def wrapping_key() -> WrappingKey:
    return WrappingKey()


@pytest.fixture
def stand(tmp_path: Path) -> FileStand:
    """A file: store that is not made yet."""
    return FileStand(tmp_path)
