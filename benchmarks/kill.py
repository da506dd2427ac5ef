"""`kill -9` ten times in one training, and the weights compared with an undisturbed run's.

The same `polyclinic train` command is started, killed at a random moment after each of ten
different epochs, and at last left to end; the two networks' digests are compared.

    python benchmarks/kill.py RECIPE DATA
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KILLS = 10


def main(recipe: str, data: str) -> None:
    """Print the digests of both networks and whether they agree; exit 1 where they do not."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        command = [sys.executable, "-m", "polyclinic", "train", recipe, "--data", data, "--json"]
        undisturbed = subprocess.run(command, env=home(first), check=True, capture_output=True)
        chance = random.Random(0)
        for kill in range(KILLS):
            before = newest(Path(second))
            process = subprocess.Popen(
                command, env=home(second), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while newest(Path(second)) == before and process.poll() is None:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 1))
            if process.poll() is not None:
                sys.exit(f"The run ended before kill {kill + 1}: give it more epochs.")
            process.kill()
            process.wait()
            print(f"kill {kill + 1}", flush=True)
        killed = subprocess.run(command, env=home(second), check=True, capture_output=True)
        digests = [
            network(folder, run.stdout) for folder, run in ((first, undisturbed), (second, killed))
        ]
    print(f"undisturbed {digests[0]}\nkilled      {digests[1]}")
    sys.exit(0 if digests[0] == digests[1] else "The networks differ.")


def home(folder: str) -> dict[str, str]:
    """The environment with its own state."""
    return {**os.environ, "POLYCLINIC_HOME": folder}


def newest(folder: Path) -> int:
    """When the run's checkpoint was last written, in ns."""
    return max(
        (path.stat().st_mtime_ns for path in folder.glob("runs/*/checkpoint.safetensors")),
        default=0,
    )


def network(folder: str, stdout: bytes) -> str:
    """The SHA-256 digest of the network that a run registered."""
    model = json.loads(stdout)["model"]
    reference = f"{model['name']}@{model['version']}"
    shown = subprocess.run(
        [sys.executable, "-m", "polyclinic", "models", "show", "--json", reference],
        env=home(folder),
        check=True,
        capture_output=True,
    )
    return str(json.loads(shown.stdout)["artefacts"]["network.onnx"]["digest"])


if __name__ == "__main__":
    main(*sys.argv[1:])
