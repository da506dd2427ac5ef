"""The diagnosis department with a light model, as a process: PORT HOME."""

import sys
from pathlib import Path

from house_parts import LightModel, low_limits

from polyclinic.engine.processes import die_with_parent
from polyclinic.registry.store import open_registry
from polyclinic.service.diagnosis import create_diagnosis
from polyclinic.service.server import run
from polyclinic.service.telemetry import configure_logging

if __name__ == "__main__":
    die_with_parent()
    configure_logging("diagnosis")
    settings = low_limits(Path(sys.argv[2]))
    app = create_diagnosis(open_registry(settings), settings, LightModel.load)
    run(app, "127.0.0.1", int(sys.argv[1]))
