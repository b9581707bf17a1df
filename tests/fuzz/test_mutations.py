"""What is said to be spoiled is: an input that is as it was tries nothing, and counts as if it had."""

import json
from typing import Any

import pytest
from mutations import drawn, spoiled, torn

SEEDS = range(300)


@pytest.mark.parametrize("whole", [{}, [], "", "ABC", {"a": ""}, {"a": None, "b": [{}]}, {"a": True}, [0]], ids=repr)
def test_nothing_is_spoiled_into_what_it_was(whole: Any) -> None:
    """Also where little can be changed, and much of what is drawn is already there."""
    written = json.dumps(whole)
    assert not [seed for seed in SEEDS if json.dumps(spoiled(whole, drawn("json", seed))) == written]
    assert json.dumps(whole) == written


@pytest.mark.parametrize("content", [b"", b"a", b"aa", b"one line\n"], ids=repr)
def test_nothing_is_torn_into_what_it_was(content: bytes) -> None:
    """Bytes that end where they are torn lose nothing there."""
    assert content not in [torn(content, drawn("bytes", seed)) for seed in SEEDS]


def test_the_same_dice_spoil_alike() -> None:
    """What was found can be found again."""
    for seed in SEEDS:
        assert torn(b"abc", drawn(seed)) == torn(b"abc", drawn(seed))
        assert repr(spoiled({"a": [1]}, drawn(seed))) == repr(spoiled({"a": [1]}, drawn(seed)))
