"""The rule of a journal's chain, for whoever writes one and whoever verifies one.

Every line holds its number and the SHA-256 of the line before it, without the newline; the first holds that of the
format and the run id. So a line that was edited, removed, inserted or moved no longer fits its neighbours. There is no
secret in it: whoever writes the rest of the chain anew, edits only the last line, or cuts lines off the end is found
out only by the final hash, as it was printed when the run ended.
"""

from hashlib import sha256

FORMAT = "mrk-journal/1"
BEGUN = "journal.begun"
ENDED = "journal.ended"


def first_link(run_id: str) -> str:
    """Return what stands for the line before the first one."""
    return link(f"{FORMAT} {run_id}".encode())


def link(line: bytes) -> str:
    """Return the hash of one line, without its newline."""
    return sha256(line).hexdigest()
