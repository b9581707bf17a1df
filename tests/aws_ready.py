"""The stock aws command in processes that are forked from one which has imported it: as `mrk` in nursery.py.

    python aws_ready.py serve SOCKET            accept one line of JSON with each connection, and fork
    python -S aws_ready.py call SOCKET WORD...  stand in for `aws WORD...`: hand over words, environment and open files

A shell script of many aws commands then takes seconds, where most of a minute would go into starting Python.
"""

import json
import os
import signal
import socket
import sys
from functools import cache
from pathlib import Path

_LONGEST = 1 << 16


def call(path: str, words: list[str]) -> int:
    """Have the command run by a forked process, with our open files, and return its exit code."""
    asked = json.dumps({"words": words, "cwd": str(Path.cwd()), "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)
        socket.send_fds(end, [len(asked).to_bytes(8, "big")], [0, 1, 2])
        end.sendall(asked)
        return int(end.recv(8) or b"255")


def serve(path: str) -> None:
    """Fork a process for each connection; those that are over are the system's to forget."""
    import awscli.clidriver  # noqa: PLC0415 - `call` starts faster without
    from botocore.loaders import JSONFileLoader  # noqa: PLC0415 - awscli brings one of its own

    read = cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _self, path: read(path)  # type: ignore[method-assign]
    os.environ["AWS_MAX_ATTEMPTS"] = "1"
    where = ["--region", "us-east-1", "--no-sign-request", "--endpoint-url", "http://127.0.0.1:9"]
    awscli.clidriver.create_clidriver().main(["kms", "list-keys", *where])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            end, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os._exit(answered(end, awscli.clidriver.main))
            end.close()


def answered(end: socket.socket, main: "object") -> int:
    """In the forked process: become the command, run it, and tell how it ended."""
    size, files, _, _ = socket.recv_fds(end, 8, 3)
    text = b""
    while len(text) < int.from_bytes(size, "big"):
        text += end.recv(_LONGEST)
    asked = json.loads(text)
    os.chdir(asked["cwd"])
    where = os.environ["AWS_DATA_PATH"]  # awscli says so itself, when it is imported
    os.environ.clear()
    os.environ.update(asked["environment"], AWS_DATA_PATH=where)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["aws", *asked["words"]]
    code = main()  # type: ignore[operator]
    sys.stdout.flush()
    sys.stderr.flush()
    end.sendall(str(code).encode())
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(call(sys.argv[2], sys.argv[3:]))
