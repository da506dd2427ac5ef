"""What the OpenAPI document promises is what the gateway does, whatever is sent to it."""

import pytest
import schemathesis
from house_parts import House, keeps_promises
from schemathesis.generation import GenerationMode


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_operation_keeps_its_promises(house: House, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_url(f"{house.url}/openapi.json")
    for found in document.get_all_operations():
        operation = found.ok()
        if mode.is_negative and not (
            operation.query or operation.body or operation.path_parameters
        ):
            continue
        keeps_promises(operation, mode, examples=60)
