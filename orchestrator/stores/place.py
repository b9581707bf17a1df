"""Where the bytes of a store belong (P12)."""

from dataclasses import dataclass
from typing import Literal

EndpointClass = Literal["aws", "other"]


@dataclass(frozen=True, slots=True)
class Place:
    """The partition and the class of endpoints that a store's key material may be sent to.

    `other` is anything that speaks the KMS API and is not AWS: a simulator, a test service.
    """

    partition: str
    endpoint_class: EndpointClass

    def __str__(self) -> str:
        endpoints = "AWS endpoints" if self.endpoint_class == "aws" else "endpoints other than AWS"
        return f"partition {self.partition} and {endpoints}"
