"""Measure the simulator: time to the first answer, answers per second, memory with many keys in every Region.

Run: python bench/simulator.py [--seconds 3] [--keys 1000] [--regions 33]
The figures stand beside their goals; the exit code is 1 if one is missed.
"""

import argparse
import base64
import http.client
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from orchestrator.simulator import Simulator
from orchestrator.simulator.regions import known_regions

ACCOUNT = "111122223333"
SCOPE = f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20270101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0"


@dataclass(frozen=True)
class Figure:
    """One measured value beside its goal."""

    name: str
    value: float
    unit: str
    goal: float
    larger_is_better: bool = False

    @property
    def met(self) -> bool:
        """Tell whether the goal is reached."""
        return self.value >= self.goal if self.larger_is_better else self.value <= self.goal

    def __str__(self) -> str:
        sign = ">=" if self.larger_is_better else "<="
        verdict = "met" if self.met else "MISSED"
        return f"{self.name:<52} {self.value:>9.2f} {self.unit:<8} goal {sign} {self.goal:<7g} {verdict}"


class Wire:
    """A client without an SDK, so that the figure is the server's."""

    def __init__(self, endpoint_url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(endpoint_url).netloc, timeout=30)

    def call(self, operation: str, **params: Any) -> Any:
        """Return the answer to one request."""
        headers = {"Authorization": SCOPE, "X-Amz-Target": f"TrentService.{operation}"}
        self._connection.request("POST", "/", json.dumps(params), headers)
        answer = self._connection.getresponse()
        body = json.load(answer)
        assert answer.status == 200, body
        return body


def rate(work: Callable[[], object], seconds: float) -> float:
    """Return how often per second some work is done."""
    work()
    begun = time.perf_counter()
    done = 0
    while time.perf_counter() - begun < seconds:
        work()
        done += 1
    return done / (time.perf_counter() - begun)


def resident(pid: int) -> float:
    """Return a process's resident memory in MiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
        [line] = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def serve_and_measure(seconds: float) -> list[Figure]:
    """Measure one process from outside."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "orchestrator.simulator", "--lag", "instant"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["endpoint_url"]
        wire = Wire(url)
        key = wire.call("CreateKey")["KeyMetadata"]["KeyId"]
        first = time.perf_counter() - begun
        idle = resident(process.pid)
        spent = _cpu(process.pid)
        describe = rate(lambda: wire.call("DescribeKey", KeyId=key), seconds)
        per_core = describe * seconds / (_cpu(process.pid) - spent)
        encrypt = rate(lambda: wire.call("Encrypt", KeyId=key, Plaintext="AAAA"), seconds)
        kms = boto3.client(
            "kms",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="x",  # noqa: S106
            config=Config(retries={"total_max_attempts": 1}),
        )
        boto = rate(lambda: kms.describe_key(KeyId=key), seconds)
        process.terminate()
    return [
        Figure("start to the first answered call", first, "s", 1.5),
        Figure("memory with one key", idle, "MiB", 100),
        Figure("DescribeKey, plain HTTP, one connection", describe, "/s", 500, larger_is_better=True),
        Figure("DescribeKey per second of server CPU", per_core, "/s", 500, larger_is_better=True),
        Figure("Encrypt, plain HTTP, one connection", encrypt, "/s", 500, larger_is_better=True),
        Figure("DescribeKey, boto3, one connection", boto, "/s", 100, larger_is_better=True),
    ]


def _cpu(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Filler:
    """Makes imported keys in this process, as fast as that goes."""

    def __init__(self, lag: str) -> None:
        self.sim = Simulator(lag=lag)
        self._material = os.urandom(32)

    def call(self, region: str, operation: str, **params: Any) -> Any:
        """Return the answer to one call."""
        return self.sim.call(operation, region, ACCOUNT, params)

    def bring(self, region: str, key: str) -> None:
        """Import the same bytes, wrapped for this key in this Region."""
        wrapping = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
        given = self.call(region, "GetParametersForImport", KeyId=key, **wrapping)
        public: Any = load_der_public_key(base64.b64decode(given["PublicKey"]))
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        wrapped = base64.b64encode(public.encrypt(self._material, oaep)).decode()
        blobs = {"ImportToken": given["ImportToken"], "EncryptedKeyMaterial": wrapped}
        model = "KEY_MATERIAL_DOES_NOT_EXPIRE"
        self.call(region, "ImportKeyMaterial", KeyId=key, ExpirationModel=model, **blobs)

    def make(self, primary: str, others: list[str]) -> str:
        """Make one imported key with material in every Region."""
        key = self.call(primary, "CreateKey", MultiRegion=True, Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
        self.sim.advance(self.sim.lag.oldest)
        self.bring(primary, key)
        for region in others:
            self.call(primary, "ReplicateKey", KeyId=key, ReplicaRegion=region)
        self.sim.advance(60)
        for region in others:
            self.bring(region, key)
        return str(key)


def fill_and_measure(keys: int, regions: int) -> list[Figure]:
    """Measure this process with so many imported keys, each in so many Regions."""
    names = sorted(region for region, partition in known_regions().items() if partition == "aws")
    primary, *others = names[:regions]
    assert len(others) == regions - 1, f"there are only {len(names)} Regions"
    filler = Filler("instant")
    begun = time.perf_counter()
    for _ in range(keys):
        key = filler.make(primary, others)
    filled = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    describe = rate(lambda: filler.call(others[0], "DescribeKey", KeyId=key), 1)
    what = f"{keys} imported keys in {regions} Regions"
    return [
        Figure(f"memory with {what}, peak", peak, "MiB", 300),
        Figure(f"making {what}", filled, "s", 300),
        Figure(f"DescribeKey, {what}", describe, "/s", 500, larger_is_better=True),
    ]


def compare_profiles(seconds: float) -> list[Figure]:
    """Measure what the lag profiles cost: one imported key in five Regions, in process."""
    figures = []
    for lag in ("instant", "small", "aws-like"):
        filler = Filler(lag)
        key = filler.make("us-east-1", ["us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2"])
        for operation in ("DescribeKey", "ListKeyRotations"):
            done = rate(lambda: filler.call("eu-west-1", operation, KeyId=key), seconds)  # noqa: B023 - used at once
            figures.append(Figure(f"{operation} in process, lag {lag}", done, "/s", 500, larger_is_better=True))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--regions", type=int, default=33)
    options = parser.parse_args()
    figures = serve_and_measure(options.seconds)
    figures += compare_profiles(options.seconds / 3)
    figures += fill_and_measure(options.keys, options.regions)
    for figure in figures:
        print(figure)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
