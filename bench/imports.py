"""How long the Lambda function takes to import, beside `import boto3` with a KMS client made: a cold start's share.

Run: python bench/imports.py [ROUNDS]. Whole processes, in turns; the ratio of the medians of their CPU time is what
counts, as other work on the machine does not change it. Each has its goal. The first call imports the rest, boto3 among
it: 1.2 is out of reach there, as pydantic and boto3 alone take it; its own goal keeps it from growing.
"""

import statistics
import subprocess
import sys

GOAL = 1.2
WHOLE_GOAL = 2.0
PROGRAMS = {
    "import boto3, and a KMS client": "import boto3; boto3.client('kms', region_name='us-east-1')",
    "import the handler": "import workflows.step_functions.handler",
    "... and what its first call imports": "import workflows.step_functions.operations",
}
TIMED = "import time; begun = time.process_time(); {}; print(time.process_time() - begun)"


def taken(program: str) -> float:
    """Return the seconds of CPU that a program takes in a new interpreter, without the interpreter's own start."""
    command = [sys.executable, "-c", TIMED.format(program)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(rounds: int) -> int:
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            times[name].append(taken(program))
    medians = {name: statistics.median(found) for name, found in times.items()}
    base, handler, whole = medians.values()
    for name, median in medians.items():
        print(f"{name:36} {median * 1000:6.0f} ms (median of {rounds})")
    print(f"{'ratio of the handler':36} {handler / base:6.2f} (goal: under {GOAL})")
    print(f"{'ratio with its first call':36} {whole / base:6.2f} (goal: under {WHOLE_GOAL})")
    return 0 if handler / base < GOAL and whole / base < WHOLE_GOAL else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9))
