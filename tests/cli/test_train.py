import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pictures import RECIPE, encode, spots, write_spots


def polyclinic(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polyclinic", *map(str, arguments)],
        env={**os.environ, "POLYCLINIC_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a recipe, its data, and the model that `polyclinic train` made of them."""
    home = tmp_path_factory.mktemp("home")
    write_spots(home / "spots.npz")
    (home / "spots.yaml").write_text(RECIPE)
    trained = polyclinic(home, "train", home / "spots.yaml", "--data", home / "spots.npz", "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["model"]["name"] == "spots"
    assert not list((home / "runs").iterdir())
    return home


def test_evaluate_prints_the_figures_and_counts_the_opening(home: Path) -> None:
    done = polyclinic(home, "evaluate", "spots@candidate", "--data", home / "spots.npz")
    assert done.returncode == 0, done.stderr
    assert "auc" in done.stdout
    assert "youden *" in done.stdout
    assert "opened 1 time" in done.stderr
    again = polyclinic(home, "evaluate", "spots@candidate", "--data", home / "spots.npz", "--json")
    assert json.loads(again.stdout)["evaluation"]["part"] == "test"


def test_diagnose_answers_and_a_bad_file_fails_alone(home: Path) -> None:
    good, bad = home / "good.png", home / "bad.png"
    good.write_bytes(encode(spots(2, 5)[0][1]))
    bad.write_bytes(b"text")
    command = ("diagnose", "image", good, bad, home / "absent.png", "--model", "spots@candidate")
    done = polyclinic(home, *command, "--heatmap", home / "maps", "--json")
    assert done.returncode == 3
    results = json.loads(done.stdout)["results"]
    assert results[0]["prediction"]["findings"][0]["coding"]["code"] == "spot"
    assert results[1]["problem"]["where"] == str(bad)
    assert "cannot be read" in results[2]["problem"]["detail"]
    assert (home / "maps" / "good-heatmap.png").read_bytes().startswith(b"\x89PNG")
    namesake = home / "other" / "good.png"
    namesake.parent.mkdir()
    namesake.write_bytes(encode(spots(2, 5)[0][0]))
    both = ("diagnose", "image", good, namesake, "--model", "spots@candidate")
    assert polyclinic(home, *both, "--heatmap", home / "namesakes").returncode == 0
    assert len(list((home / "namesakes").iterdir())) == 2
    shown = polyclinic(home, "diagnose", "image", good, "--model", "spots@candidate")
    assert shown.returncode == 0
    assert "Spot" in shown.stdout
    assert "not a medical device" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("train", "absent.yaml"), 4, "absent.yaml"),
        (("train", "bad.yaml"), 3, "model"),
        (("train", "spots.yaml"), 3, "--data"),
        (("train", "point.yaml", "--data", "spots.npz"), 3, "yuden"),
        (("train", "space.yaml", "--data", "spots.npz"), 3, "learning_rat"),
        (("train", "spots.yaml", "--data", "wrong.npz"), 7, "quality gate"),
        (("evaluate", "unknown", "--data", "spots.npz"), 4, "unknown"),
        (("evaluate", "spots@candidate", "--data", "absent.npz"), 4, "absent.npz"),
        (("diagnose", "image", "good.png", "--model", "spots@ffffff0"), 4, "ffffff0"),
    ],
)
def test_what_is_wrong_has_an_exit_code_and_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, says: str
) -> None:
    import numpy as np

    monkeypatch.chdir(home)
    Path("bad.yaml").write_text(RECIPE.replace("residual", "enormous"))
    Path("point.yaml").write_text(
        RECIPE + "trust: {operating_point: yuden, operating_points: [yuden]}"
    )
    space = "tune: {trials: 1, space: {train.learning_rat: {choices: [0.1]}}}"
    Path("space.yaml").write_text(RECIPE + space)
    wrong = dict(np.load("spots.npz"))
    wrong["train_labels"][:2, 0] = 99
    np.savez("wrong.npz", **wrong)
    done = polyclinic(home, *arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "polyclinic", "--help"],
        env={**os.environ, "POLYCLINIC_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {
        "torch",
        "numpy",
        "sklearn",
        "onnxruntime",
        "fastapi",
        "sqlalchemy",
        "pydantic_settings",
    }
    assert not imported & heavy
    assert "not a medical device" in done.stdout.replace("\n", " ")


def test_tuning_chooses_the_better_network_and_the_recipe_kept_says_so(home: Path) -> None:
    tuned = RECIPE.replace("name: spots", "name: spots-tuned").replace("epochs: 6", "epochs: 2")
    tuned += "tune: {trials: 3, space: {model.width: {choices: [2, 4]}}}\n"
    (home / "tuned.yaml").write_text(tuned)
    done = polyclinic(home, "train", home / "tuned.yaml", "--data", home / "spots.npz", "--json")
    assert done.returncode == 0, done.stderr
    assert (home / "runs" / "tuning.db").exists()


def test_weights_of_one_recipe_are_where_another_starts(home: Path) -> None:
    short = RECIPE.replace("epochs: 6", "epochs: 1")
    (home / "first.yaml").write_text(short.replace("name: spots", "name: spots-first"))
    command = ("train", home / "first.yaml", "--data", home / "spots.npz")
    assert polyclinic(home, *command, "--weights", home / "w.safetensors").returncode == 0
    refused = polyclinic(home, *command, "--weights", home / "first.yaml" / "w.safetensors")
    assert refused.returncode == 3
    assert "No file can be written here" in refused.stderr
    assert "prepare" not in refused.stderr
    tuned = short.replace("name: spots", "name: spots-tuned-on")
    tuned += "init: {pretrained: w.safetensors, frozen: true}\n"
    (home / "second.yaml").write_text(tuned)
    done = polyclinic(home, "train", home / "second.yaml", "--data", home / "spots.npz", "--json")
    assert done.returncode == 0, done.stderr
    shown = polyclinic(home, "models", "show", "spots-tuned-on@candidate", "--json")
    assert "frozen: true" in json.loads(shown.stdout)["recipe"]


def test_what_was_trained_last_is_the_candidate(home: Path) -> None:
    again = RECIPE.replace("name: spots", "name: spots-again").replace("epochs: 6", "epochs: 1")
    versions = []
    for seed in (1, 2):
        (home / "again.yaml").write_text(again.replace("seed: 3", f"seed: {seed}"))
        command = ("train", home / "again.yaml", "--data", home / "spots.npz", "--json")
        versions.append(json.loads(polyclinic(home, *command).stdout)["model"]["version"])
    assert versions[0] != versions[1]
    shown = polyclinic(home, "models", "show", "spots-again@candidate", "--json")
    assert json.loads(shown.stdout)["model"]["version"] == versions[1]
