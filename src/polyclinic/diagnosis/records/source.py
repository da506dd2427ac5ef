"""Sources of records: what the recipe's `layout` says they are."""

from pathlib import Path

from polyclinic.diagnosis.records.recipe import HourlyData, TableData, TimelineData
from polyclinic.diagnosis.records.records import Records


def read_records(path: Path, data: TableData | HourlyData | TimelineData) -> Records:
    """The records at `path`. Raises `NotFound`, or `InvalidInput` naming the place."""
    # polars takes a second and 100 MB that a service need not pay.
    if isinstance(data, HourlyData):
        from polyclinic.diagnosis.records.sources.cohort import read_stays

        return read_stays(path, data)
    if isinstance(data, TimelineData):
        from polyclinic.diagnosis.records.sources.timeline import read_timelines

        return read_timelines(path, data)
    from polyclinic.diagnosis.records.sources.table import read_table

    return read_table(path, data)
