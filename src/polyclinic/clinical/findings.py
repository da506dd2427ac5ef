"""What models found, as events of a timeline that others can rest on."""

from datetime import datetime

import polars as pl

from polyclinic.clinical.timeline import Event, event_frame, instant
from polyclinic.core.prediction import Prediction


def finding_events(prediction: Prediction, patient: str, known: datetime) -> pl.DataFrame:
    """Each finding of an answer about a patient as an event, known at `known` (with its zone).

    Its value is the calibrated probability, its source the model. Columns as in `EVENTS`.
    """
    at, model = instant(known), prediction.provenance.model
    return event_frame(
        [
            Event(
                patient,
                "finding",
                at,
                at,
                None,
                at,
                system=finding.coding.system,
                code=finding.coding.code,
                display=finding.coding.display,
                value=finding.probability,
                unit="1",
                source=f"{model.name}@{model.version}",
            )
            for finding in prediction.findings
        ]
    )
