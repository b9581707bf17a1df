"""Ways out of a file that is not what it is brought as, and of a clock that is wrong."""

from orchestrator.model import Reason
from ways.rotations import ROTATE
from ways.stand import PRIMARY
from ways.stores import (
    ahead,
    kept,
    noted_ahead,
    right_time,
    set_right,
    strange_file,
    strange_pending,
    text_file,
    two_lacking,
)
from ways.way import ANYWHERE, Way

ADOPTED: dict[str, Way] = {
    "a file that is none of the key's materials": Way(
        site="workflows.adopt._none_of_them",
        reason=Reason.OTHER_BYTES,
        state=strange_file,
        command="adopt payments strange.bin",
        ways={"keep it": (kept,)},
        again="adopt payments payments.bin",
    ),
    "a file that is not what is pending": Way(
        site="workflows.adopt._other_bytes",
        reason=Reason.OTHER_BYTES,
        region=PRIMARY,
        state=strange_pending,
        command="adopt payments strange.bin",
        ways={"adopt the right one": (kept, "mrk status")},
        again="adopt payments other.bin",
    ),
    "a file for an id that the key does not have": Way(
        site="workflows.adopt.pinned",
        reason=Reason.INCONSISTENT,
        region=PRIMARY,
        state=lambda _: None,
        command="adopt payments payments.bin --material-id " + 8 * "deadbeef",
        ways={"name the right one": ("mrk status",)},
        again="adopt payments payments.bin --material-id {current}",
    ),
    "a file, and a store that lacks several materials": Way(
        site="workflows.adopt.pinned",
        reason=Reason.STORE_LACKS,
        state=two_lacking,
        command="adopt payments payments.bin",
        rotations=1,
        ways={"name it": (lambda stand: stand.well("adopt", "payments", "other.bin", "--material-id", stand.current),)},  # type: ignore[dict-item]
        again="adopt payments payments.bin --material-id {first}",
    ),
}
for _encoding in ("hex", "base64", "newline"):
    ADOPTED[f"a file with text: {_encoding}"] = Way(
        site="orchestrator.stores.adoption.read_source",
        state=text_file(_encoding),
        command="adopt payments material.txt",
        code=2,
        ways={
            "make the raw bytes": ("(umask 077; " + {"hex": "xxd", "base64": "base64", "newline": "head"}[_encoding],)
        },
        again="adopt payments key-material.bin",
    )

CLOCKS: dict[str, Way] = {
    "a clock that is ahead": Way(
        site="orchestrator.looks.wrong_clock",
        reason=Reason.CLOCK,
        region=ANYWHERE,
        state=ahead,
        code=3,
        ways={"set it": (set_right,)},
    ),
    "a store that notes a time to come": Way(
        site="orchestrator.looks.wrong_clock",
        reason=Reason.CLOCK,
        state=noted_ahead,
        command=ROTATE,
        code=3,
        rotations=1,
        ways={"set it": (right_time,)},
    ),
}
