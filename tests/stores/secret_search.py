"""All that an error could show of what it was raised amid; `leaks` looks for secret bytes in it."""

import traceback


def everything(error: BaseException) -> bytes:
    """All that a log could show of an error: itself, its causes, and the local variables of our frames."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        parts += [repr(link), str(link), repr(vars(link))]
        frames = traceback.TracebackException.from_exception(link, capture_locals=True)
        parts += [repr(frame.locals) for frame in frames.stack if "/orchestrator/" in frame.filename]
        link = link.__cause__ or link.__context__
    return "\n".join(parts).encode()
