"""A site whose pictures differ: prevalence from them alone, the alarm, and re-weighted answers."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from trained_spots import Trained

from pictures import encode, spots
from polyclinic.core.errors import Conflict, InvalidInput, NotFound
from polyclinic.core.evaluation import OperatingPoint
from polyclinic.core.prediction import Coding, Prediction, Reweighting
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.shift import pictures_shift
from polyclinic.diagnosis.site import Site
from polyclinic.learning.trust.label_shift import PrevalenceEstimate

LABELS = tuple(Coding(system="urn:test", code=code, display=code) for code in ("none", "spot"))


def reweighting(source: float, here: float) -> Reweighting:
    return Reweighting(
        source_prevalence={"none": 1 - source, "spot": source},
        prevalence={"none": 1 - here, "spot": here},
        method="em",
        examples=100,
        time=datetime.now(UTC),
    )


def site_of(folder: Path, with_spot: int, without: int, seed: int = 40) -> Path:
    """A folder of pictures without labels, so many of them with a spot."""
    folder.mkdir()
    pictures, y = spots(2 * max(with_spot, without), seed)
    chosen = [*pictures[y == 1][:with_spot], *pictures[y == 0][:without]]
    for number, picture in enumerate(chosen):
        (folder / f"{number}.png").write_bytes(encode(picture))
    return folder


@pytest.mark.parametrize("name", ["youden", "sensitivity@0.95"])
def test_a_point_of_fixed_sensitivity_calls_the_same_inputs_at_every_prevalence(name: str) -> None:
    p = np.linspace(0.001, 0.999, 997)
    probabilities = np.stack([1 - p, p], axis=1)
    point = OperatingPoint(name=name, label="spot", threshold=0.3)
    site = Site(reweighting(0.7, 0.1), LABELS)
    called = site.reweighted(probabilities)[:, 1] >= site.threshold(point)
    assert (called == (p >= 0.3)).all()


def test_the_likeliest_label_is_that_of_the_site() -> None:
    site = Site(reweighting(0.5, 0.1), LABELS)
    assert site.threshold(OperatingPoint(name="argmax", label="spot", threshold=0.5)) == 0.5
    assert site.reweighted(np.array([[0.5, 0.5]]))[0] == pytest.approx([0.9, 0.1])


def test_a_rarer_finding_is_estimated_and_answers_are_marked(
    trained: Trained, tmp_path: Path
) -> None:
    folder = site_of(tmp_path / "site", with_spot=24, without=216)
    (folder / "broken.png").write_bytes(b"text")
    found = pictures_shift(trained.registry, trained.version, [folder])
    assert (found.inputs, found.what) == (240, "pictures")
    (note,) = found.notes
    assert note.startswith(f"{folder / 'broken.png'}: left out: ")
    assert isinstance(found.estimate, PrevalenceEstimate)
    assert found.alarm
    share = found.estimate.prevalence[1]
    assert share.low <= 0.1 <= share.high
    assert found.estimate.trusted
    assert found.minimum_error is not None
    assert found.minimum_error.finding == "spot"
    assert found.minimum_error.share == pytest.approx(0.1, abs=0.05)

    picture = encode(spots(2, 9)[0][1])
    (before,) = ImageClassifier.load(trained.registry, trained.version).predict([picture])
    trained.registry.reweight(trained.version, found.reweighting(), "tester")
    try:
        (after,) = ImageClassifier.load(trained.registry, trained.version).predict([picture])
    finally:
        trained.registry.reweight(trained.version, None, "tester")
    (again,) = ImageClassifier.load(trained.registry, trained.version).predict([picture])
    assert isinstance(before, Prediction)
    assert isinstance(after, Prediction)
    assert isinstance(again, Prediction)
    assert before.reweighting is None
    assert after.reweighting == found.reweighting().model_copy(
        update={"time": after.reweighting.time if after.reweighting else None}
    )
    assert after.findings[0].probability < before.findings[0].probability
    assert after.findings[0].threshold < before.findings[0].threshold
    assert after.findings[0].present == before.findings[0].present
    assert after.conformal_set == before.conformal_set
    assert again.reweighting is None


@pytest.mark.parametrize("method", ["em", "bbse"])
def test_a_finding_that_a_few_pictures_do_not_show_is_rare_and_not_impossible(
    trained: Trained, tmp_path: Path, method: Literal["em", "bbse"]
) -> None:
    folder = site_of(tmp_path / "site", with_spot=0, without=100)
    found = pictures_shift(trained.registry, trained.version, [folder], method)
    assert isinstance(found.estimate, PrevalenceEstimate)
    assert found.estimate.trusted
    here = found.reweighting().prevalence
    spot = trained.version.manifest.labels[1].code
    assert here[spot] == pytest.approx((100 * found.estimate.prevalence[1].value + 1) / 102)
    assert here[spot] >= 1 / 102
    assert sum(here.values()) == pytest.approx(1.0)


def test_other_pictures_raise_the_alarm_and_are_never_applied(
    trained: Trained, tmp_path: Path
) -> None:
    folder = site_of(tmp_path / "site", with_spot=60, without=60)
    for file in folder.iterdir():
        rng = np.random.default_rng(len(file.name))
        file.write_bytes(encode(rng.integers(0, 256, (16, 16), dtype=np.uint8)))
    found = pictures_shift(trained.registry, trained.version, [folder])
    assert found.alarm
    assert isinstance(found.estimate, PrevalenceEstimate)
    assert not found.estimate.trusted
    assert found.unfamiliar > 60
    with pytest.raises(Conflict, match="mislead"):
        found.reweighting()


def test_a_site_like_the_calibration_raises_no_alarm(trained: Trained, tmp_path: Path) -> None:
    folder = site_of(tmp_path / "site", with_spot=60, without=60)
    assert not pictures_shift(trained.registry, trained.version, [folder]).alarm


def test_too_few_pictures_are_never_applied(trained: Trained, tmp_path: Path) -> None:
    folder = site_of(tmp_path / "site", with_spot=1, without=9)
    found = pictures_shift(trained.registry, trained.version, [folder])
    with pytest.raises(Conflict, match="too few"):
        found.reweighting()


def test_a_site_without_pictures_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such picture"):
        pictures_shift(trained.registry, trained.version, [tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="0 pictures can be read"):
        pictures_shift(trained.registry, trained.version, [tmp_path / "empty"])


def test_the_command_prints_applies_and_clears(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from polyclinic.cli.main import app
    from polyclinic.core import settings as of_process

    home = trained.data.parent
    monkeypatch.setenv("POLYCLINIC_HOME", str(home))
    of_process.settings.cache_clear()
    folder = site_of(tmp_path / "site", with_spot=24, without=216)
    model = str(trained.version)
    run = CliRunner().invoke
    try:
        told = run(app, ["shift", model, str(folder), "--json"])
        assert told.exit_code == 0, told.output
        said = json.loads(told.stdout)
        assert said["estimate"]["examples"] == 240
        assert (said["alarm"], said["trusted"]) == (True, True)
        (folder / "[b]roken.png").write_bytes(b"text")
        applied = run(app, ["shift", model, str(folder), "--apply"])
        assert applied.exit_code == 0
        assert "[b]roken.png" in applied.output
        assert trained.registry.reweighting(trained.version) is not None
        listed = json.loads(run(app, ["models", "list", "--json"]).stdout)
        (mine,) = [each for each in listed if each["digest"] == trained.version.digest]
        assert mine["reweighting"]["method"] == "em"
        assert "(re-weighted)" in run(app, ["models", "list"]).stdout
        assert run(app, ["shift", model, "--clear"]).exit_code == 0
        assert trained.registry.reweighting(trained.version) is None
        assert isinstance(run(app, ["shift", model]).exception, InvalidInput)
        counted = run(app, ["shift", model, str(folder), "--labels"]).exception
        assert isinstance(counted, InvalidInput)
    finally:
        of_process.settings.cache_clear()
