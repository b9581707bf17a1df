"""How long `mrk plan` takes for a key that is not due, beside `aws kms describe-key` on the same simulator.

Run: python bench/plan.py [ROUNDS]. Both are whole processes, in turns; the ratio of the medians is what counts, and
must be under the goal.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "e2e")]

from machine import REGIONS, Machine, Past

from orchestrator.simulator import Simulator, serve

GOAL = 1.5


def main(rounds: int) -> int:
    past = Past()
    simulator = Simulator(past, lag="instant")
    with serve(simulator) as served, tempfile.TemporaryDirectory() as directory:
        machine = Machine(Path(directory), served.endpoint_url, simulator, past)
        arn, material = machine.make_key_quickly()
        machine.run("mrk", "store", "init")
        machine.run("mrk", "adopt", "payments", str(material))
        commands = {
            "mrk plan": ("mrk", "plan"),
            "aws kms describe-key": ("aws", "kms", "describe-key", "--key-id", arn, "--region", REGIONS[0]),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                begun = time.perf_counter()
                machine.run(*command)
                times[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, median in medians.items():
        print(f"{name:22} {median * 1000:6.0f} ms (median of {rounds})")
    plan, describe = medians.values()
    print(f"ratio                  {plan / describe:6.2f} (goal: under {GOAL}), {len(REGIONS)} Regions looked at")
    return 0 if plan / describe < GOAL else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
