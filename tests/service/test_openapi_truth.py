"""What the OpenAPI document promises is what the gateway does, whatever is sent to it."""

import pytest
import schemathesis
from house_parts import House
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import positive_data_acceptance
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

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=60,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def keeps(case: schemathesis.Case) -> None:
            # A file that is no picture fits the schema and is refused all the same.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        keeps()
