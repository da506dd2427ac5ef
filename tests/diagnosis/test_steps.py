import base64
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from trained_spots import Trained

from pictures import encode, spots
from polyclinic.core.digest import sha256
from polyclinic.core.errors import PolyclinicError
from polyclinic.core.prediction import Prediction
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.evaluation import evaluate_file


@pytest.fixture(scope="module")
def model(trained: Trained) -> ImageClassifier:
    return ImageClassifier.load(trained.registry, trained.version)


def predict(model: ImageClassifier, picture: np.ndarray, explain: bool = False) -> Prediction:
    (answer,) = model.predict([encode(picture)], explain=explain)
    assert isinstance(answer, Prediction)
    return answer


def test_the_trained_model_finds_what_is_there(trained: Trained, model: ImageClassifier) -> None:
    pictures, y = spots(200, seed=9)
    answers = [predict(model, picture) for picture in pictures]
    right = [
        answer.findings[0].present == bool(label) for answer, label in zip(answers, y, strict=True)
    ]
    assert np.mean(right) > 0.9
    assert trained.version.manifest.validation.metrics["auc"].value > 0.95


def test_an_answer_says_the_five_things(trained: Trained, model: ImageClassifier) -> None:
    picture = spots(2, seed=9)[0][1]
    answer = predict(model, picture, explain=True)
    assert answer.findings[0].coding.code == "spot"
    assert 0 <= answer.findings[0].probability <= 1
    assert answer.conformal_set.coverage == 0.9
    assert 0 < answer.familiarity.p_value <= 1
    assert answer.explanation is not None
    heat_map = Image.open(io.BytesIO(base64.b64decode(answer.explanation.content)))
    assert heat_map.size == (224, 224)
    assert answer.provenance.model == trained.version.identity
    assert answer.provenance.input_digest == sha256(encode(picture))
    assert Prediction.model_validate_json(answer.model_dump_json()) == answer


def test_the_heat_map_is_hottest_where_the_finding_is(model: ImageClassifier) -> None:
    pictures, _ = spots(60, seed=11)
    near = []
    for picture in pictures[1::2]:
        scores = model.score(picture[None, None])
        maps = scores.maps[0]
        heat = maps[1] - maps[0]
        hottest = np.array(np.unravel_index(heat.argmax(), heat.shape)) / heat.shape
        smooth = np.asarray(Image.fromarray(picture).resize((8, 8), Image.Resampling.BOX))
        brightest = np.array(np.unravel_index(smooth.argmax(), smooth.shape)) / smooth.shape
        near.append(np.abs(hottest - brightest).max() <= 0.25)
    assert np.mean(near) > 0.7


def test_an_input_unlike_the_training_pictures_is_unfamiliar_and_abstained(
    model: ImageClassifier,
) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (16, 8))
    answer = predict(model, stripes)
    assert not answer.familiarity.familiar
    assert answer.abstained is not None
    assert "unlike" in answer.abstained


def test_a_bad_picture_fails_alone(model: ImageClassifier) -> None:
    good = encode(spots(2, seed=9)[0][1])
    answers = model.predict([good, b"", good, b"text"])
    kinds = [isinstance(answer, PolyclinicError) for answer in answers]
    assert kinds == [False, True, False, True]
    alone = model.predict([good])[0]
    assert isinstance(alone, Prediction)
    assert isinstance(answers[2], Prediction)
    assert answers[2].findings[0].probability == pytest.approx(alone.findings[0].probability)
    assert all(isinstance(answer, PolyclinicError) for answer in model.predict([b"", b""]))


def test_the_test_part_is_opened_by_a_logged_command_and_counted(trained: Trained) -> None:
    registry, digest = trained.registry, trained.version.manifest.data.digest
    before = len(registry.test_openings(digest))
    evaluation = evaluate_file(registry, trained.version, trained.data, "tester")
    assert evaluation.part == "test"
    assert evaluation.dataset == "generated spots"
    openings = registry.test_openings(digest)
    assert len(openings) == before + 1
    assert openings[-1].by == "tester"
    assert evaluation in registry.evaluations(trained.version)


def test_the_test_part_is_known_in_whatever_file_it_stands(trained: Trained) -> None:
    arrays = dict(np.load(trained.data))
    for kind in ("images", "labels"):
        arrays[f"train_{kind}"] = arrays[f"train_{kind}"][2:]
    path = trained.data.parent / "shorter.npz"
    np.savez(path, **arrays)
    digest = trained.version.manifest.data.digest
    before = len(trained.registry.test_openings(digest))
    assert evaluate_file(trained.registry, trained.version, path, "tester").part == "test"
    assert len(trained.registry.test_openings(digest)) == before + 1


def test_other_data_is_external_and_opens_nothing(trained: Trained) -> None:
    arrays = {}
    for seed, part in enumerate(("train", "val", "test"), start=20):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = spots(60, seed)
    other = trained.data.parent / "other.npz"
    np.savez(other, **arrays)
    digest = trained.version.manifest.data.digest
    before = len(trained.registry.test_openings(digest))
    evaluation = evaluate_file(trained.registry, trained.version, other, "tester")
    assert evaluation.part == "external"
    assert evaluation.metrics.keys() == trained.version.manifest.validation.metrics.keys()
    assert len(trained.registry.test_openings(digest)) == before


def test_data_of_another_size_is_fitted_as_when_serving(trained: Trained) -> None:
    path = trained.data.parent / "large.npz"
    parts = {}
    for part in ("train", "val", "test"):
        parts[f"{part}_images"], parts[f"{part}_labels"] = spots(8, 0, size=20)
    np.savez(path, **parts)
    evaluation = evaluate_file(trained.registry, trained.version, path, "tester")
    assert (evaluation.part, evaluation.examples) == ("external", 8)


def test_pictures_from_elsewhere_raise_the_shift_alarm_in_the_card(trained: Trained) -> None:
    arrays = {}
    for seed, part in enumerate(("train", "val", "test"), start=30):
        pictures, arrays[f"{part}_labels"] = spots(60, seed)
        arrays[f"{part}_images"] = 255 - pictures
    path = trained.data.parent / "inverted.npz"
    np.savez(path, **arrays)
    elsewhere = evaluate_file(trained.registry, trained.version, path, "tester")
    assert any("shift alarm" in note for note in elsewhere.notes)
    own = evaluate_file(trained.registry, trained.version, trained.data, "tester")
    assert not any("shift alarm" in note for note in own.notes)


def test_serving_imports_neither_torch_nor_sklearn_nor_scipy() -> None:
    script = (
        "import sys; import polyclinic.diagnosis.imaging.classifier;"
        "print([name for name in ('torch', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
