"""The table: every fault of every operation, and what a rotation that meets it should come to.

Modelled errors come from the service model of botocore: one that a later version adds needs a row, or fails a test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import botocore.session

from worlds import REGIONS

End = Literal["finished", "failed", "blocked"]
"""`finished` is exit 0, `failed` is exit 3 (run again), `blocked` is exit 4 (a person must look)."""

Often = Literal["once", "three times", "for ever"]
TIMES: dict[Often, int | None] = {"once": 1, "three times": 3, "for ever": None}

OPERATIONS = (
    "DescribeKey",
    "ListKeyRotations",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "ImportKeyMaterial",
    "RotateKeyOnDemand",
    "Encrypt",
    "Decrypt",
    "GenerateDataKeyWithoutPlaintext",
)
"""Every operation that a rotation uses."""

PRIMARY, REPLICA = REGIONS[0], REGIONS[1]
_PRIMARY_ALONE = ("GetKeyRotationStatus", "RotateKeyOnDemand", "Encrypt")
LOOKS = OPERATIONS[:3]


@dataclass(frozen=True, slots=True)
class Ends:
    """How a run ends that meets a fault once, three times, for ever."""

    once: End
    three_times: End
    for_ever: End

    def of(self, often: Often) -> End:
        return {"once": self.once, "three times": self.three_times, "for ever": self.for_ever}[often]


PASSES = Ends("finished", "finished", "failed")
"""It may pass: the call is repeated, or the world looked at, until the deadline."""
ENDS_IT = Ends("failed", "failed", "failed")
"""It will not pass by itself in this run: the run ends, and the next one resumes."""
A_PERSON = Ends("blocked", "blocked", "blocked")
"""It will not pass by running again."""
FETCHED_AGAIN = Ends("finished", "failed", "failed")
"""Import parameters were refused: fetched anew, once; or fetched early in vain, and then again when they are needed."""

TWICE_ENDS_IT = Ends("finished", "failed", "failed")
"""It is believed only when it is repeated."""

HAS_HAPPENED = Ends("finished", "finished", "finished")
"""It had its effect, which shows without any answer."""

BY_CODE: dict[str, Ends] = {
    "ThrottlingException": PASSES,
    "KMSInternalException": PASSES,
    "DependencyTimeoutException": PASSES,
    "KeyUnavailableException": PASSES,
    "ServiceUnavailable": PASSES,
    "InternalFailure": PASSES,
    "RequestTimeoutException": PASSES,
    "KMSInvalidStateException": PASSES,
    "ConflictException": PASSES,
    "DisabledException": PASSES,
    "AccessDeniedException": ENDS_IT,
    "ExpiredTokenException": ENDS_IT,
    "UnrecognizedClientException": ENDS_IT,
    "ValidationException": ENDS_IT,
    "InvalidArnException": ENDS_IT,
    "InvalidMarkerException": ENDS_IT,
    "UnsupportedOperationException": ENDS_IT,
    "InvalidCiphertextException": ENDS_IT,
    "InvalidKeyUsageException": ENDS_IT,
    "InvalidGrantTokenException": ENDS_IT,
    "IncorrectKeyException": ENDS_IT,
    "DryRunOperationException": ENDS_IT,
    "NotFoundException": ENDS_IT,
    "LimitExceededException": A_PERSON,
    "ExpiredImportTokenException": FETCHED_AGAIN,
    "InvalidImportTokenException": FETCHED_AGAIN,
    "a code of tomorrow": ENDS_IT,
    "reset before the effect": PASSES,
    "reset after the effect": PASSES,
    "KMSInternalException after the effect": PASSES,
    "no answer in time": PASSES,
    "no connection in time": PASSES,
    "no such host": PASSES,
}

BY_CALL: dict[tuple[str, str, str], Ends] = {
    ("RotateKeyOnDemand", PRIMARY, "reset after the effect"): HAS_HAPPENED,
    ("RotateKeyOnDemand", PRIMARY, "KMSInternalException after the effect"): HAS_HAPPENED,
    ("ImportKeyMaterial", REPLICA, "reset after the effect"): HAS_HAPPENED,
    ("ImportKeyMaterial", REPLICA, "KMSInternalException after the effect"): HAS_HAPPENED,
    # KMS says that it has these bytes already, and lists nothing as pending: not sent again by this run (P2).
    ("ImportKeyMaterial", PRIMARY, "IncorrectKeyMaterialException"): A_PERSON,
    # KMS says that the bytes are not those of the id: believed when it says so twice.
    ("ImportKeyMaterial", REPLICA, "IncorrectKeyMaterialException"): TWICE_ENDS_IT,
}

GENERAL = (
    "ThrottlingException",
    "ValidationException",
    "AccessDeniedException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "ServiceUnavailable",
    "InternalFailure",
    "a code of tomorrow",
    "reset before the effect",
    "reset after the effect",
    "KMSInternalException after the effect",
)
"""What any operation may answer, modelled or not."""

NETWORK = ("no answer in time", "no connection in time", "no such host")


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of one operation in one Region."""

    operation: str
    region: str
    fault: str
    often: Often

    def __str__(self) -> str:
        return f"{self.operation} in {self.region}: {self.fault}, {self.often}"

    @property
    def expected(self) -> End:
        """What the table says."""
        if self.operation in LOOKS and self.fault == "NotFoundException":
            return "blocked"
        ends = BY_CALL.get((self.operation, self.region, self.fault)) or BY_CODE[self.fault]
        if self.operation == "GetParametersForImport" and ends is ENDS_IT:
            ends = FETCHED_AGAIN
        return ends.of(self.often)


def modelled(operation: str) -> list[str]:
    """The errors that the service model names for an operation."""
    model = botocore.session.get_session().get_service_model("kms")
    return [shape.name for shape in model.operation_model(operation).error_shapes]


def cases() -> Iterator[Case]:
    """Every fault of every operation, in the primary and in a replica."""
    for operation in OPERATIONS:
        for region in (PRIMARY,) if operation in _PRIMARY_ALONE else (PRIMARY, REPLICA):
            for fault in dict.fromkeys((*modelled(operation), *GENERAL)):
                for often in TIMES:
                    yield Case(operation, region, fault, often)


def network_cases() -> Iterator[Case]:
    """Networks that give no answer, in the primary's Region and in a replica's."""
    for operation in OPERATIONS:
        for region in (PRIMARY,) if operation in _PRIMARY_ALONE else (PRIMARY, REPLICA):
            for fault in NETWORK:
                for often in TIMES:
                    yield Case(operation, region, fault, often)


def rule(fault: str) -> dict[str, Any]:
    """What the simulator must be told to show a fault."""
    match fault:
        case "reset before the effect":
            return {"drop": "before"}
        case "reset after the effect":
            return {"drop": "after"}
        case "KMSInternalException after the effect":
            return {"error": "KMSInternalException", "after_effect": True}
        case "a code of tomorrow":
            return {"error": "BrandNewException"}
    return {"error": fault}
