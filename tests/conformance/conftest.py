"""The service under test; any_kms.py says how to point the suite elsewhere."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from any_kms import AWS, ENDPOINT, Service

from orchestrator.simulator import Simulator, serve


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with ExitStack() as stack:
        endpoint = ENDPOINT
        if not AWS and endpoint is None:
            endpoint = stack.enter_context(serve(Simulator(lag="small"))).endpoint_url
        found = Service(endpoint)
        yield found
        found.clean()
