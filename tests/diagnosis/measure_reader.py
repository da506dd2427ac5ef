"""Run by a test in a process of its own: what each file of a folder costs to read.

Prints one JSON line a file: its name, the error it met, seconds, and MiB beyond those held before.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

from polyclinic.core.errors import PolyclinicError
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.reader import open_picture


def resident(kind: str) -> float:
    """Resident memory in MiB: `VmRSS` now, `VmHWM` at its highest (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) / 1024
    raise RuntimeError(kind)


def say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")


def main(folder: Path, warm: Path) -> None:
    limit = Settings(home=folder).max_pixels
    before_dicom = resident("VmRSS")
    open_picture(warm.read_bytes(), limit)
    say(dicom_mib=resident("VmRSS") - before_dicom)
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # the highest is from now on
        before, start = resident("VmRSS"), perf_counter()
        error = None
        try:
            open_picture(data, limit)
        except PolyclinicError as met:
            error = f"{met.status} {met.detail}"
        seconds = perf_counter() - start
        mib = resident("VmHWM") - before
        say(file=path.name, error=error, seconds=seconds, mib=mib)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
