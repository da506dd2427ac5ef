"""`polyclinic train` and `polyclinic evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyclinic.cli.output import AsJson, person, print_json, print_table, say
from polyclinic.core.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress, TaskID

    from polyclinic.core.evaluation import Estimate, Evaluation, OperatingPointResult
    from polyclinic.learning.train.checkpoint import Epoch
    from polyclinic.registry.version import ModelVersion

#: The kind of a model of records; that of an image model is what any other recipe is read as.
RECORD = "diagnosis.record"
#: How kinds of models of treatment begin.
TREATMENT = "treatment."


def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    data: Annotated[
        Path | None, typer.Option(help="The data file, instead of the recipe's own.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A file for the trained weights, which another recipe can start from."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carry a recipe through the five steps and register the model version that comes of it.

    A stopped run of an image model goes on where it stopped when the same command is given again.
    """
    from polyclinic.learning.recipe import read_yaml

    content = read_yaml(recipe)
    kind = str(content.get("kind"))
    trained = {RECORD: _train_records}.get(kind, _train_images)
    if kind.startswith(TREATMENT):
        trained = _train_treatment
    version = trained(content, recipe, data, weights)
    if as_json:
        print_json({"model": version.identity, "validation": version.manifest.validation})
        return
    print_evaluation(version.manifest.validation, f"{version.identity.name}@{version.version}")
    say(
        f"Registered {version.identity.name}@{version.version}. To open the test part, once you "
        f"will change nothing more:\n  polyclinic evaluate {version.identity.name}@"
        f"{version.version} --data {data or 'PATH'}"
    )


def _train_images(
    content: "dict[str, Any]", recipe: Path, data: Path | None, weights: Path | None
) -> "ModelVersion":
    _need_torch()
    from polyclinic.diagnosis.imaging.recipe import ImageRecipe
    from polyclinic.diagnosis.imaging.steps.run import run
    from polyclinic.learning.recipe import parse_recipe
    from polyclinic.registry.store import open_registry

    image_recipe = parse_recipe(content, ImageRecipe, str(recipe))
    with _progress() as progress:
        listener = _Watcher(progress, image_recipe.train.epochs)
        return run(image_recipe, data, recipe.parent, open_registry(), listener, weights)


def _train_records(
    content: "dict[str, Any]", recipe: Path, data: Path | None, weights: Path | None
) -> "ModelVersion":
    from polyclinic.diagnosis.records.recipe import RecordRecipe
    from polyclinic.diagnosis.records.steps.run import run
    from polyclinic.learning.recipe import parse_recipe
    from polyclinic.registry.store import open_registry

    if weights is not None:
        raise InvalidInput("A model of records has no weights to start from.", where="--weights")
    record_recipe = parse_recipe(content, RecordRecipe, str(recipe))
    if record_recipe.network or record_recipe.auto or record_recipe.tune:
        _need_torch()
    epochs = record_recipe.train.epochs if record_recipe.network else None
    with _progress() as progress:
        return run(record_recipe, data, recipe.parent, open_registry(), _Watcher(progress, epochs))


def _train_treatment(
    content: "dict[str, Any]", recipe: Path, data: Path | None, weights: Path | None
) -> "ModelVersion":
    from importlib.util import find_spec

    from polyclinic.core.settings import settings
    from polyclinic.registry.store import open_registry
    from polyclinic.treatment.models import train_model
    from polyclinic.treatment.rules import open_rules

    if weights is not None:
        raise InvalidInput("A model of treatment has no weights to start from.", where="--weights")
    if find_spec("implicit") is None or find_spec("numba") is None:
        _need_torch()
    rules = open_rules(settings())
    with _progress() as progress:
        watcher = _Watcher(progress)
        return train_model(
            content, str(recipe), data, recipe.parent, open_registry(), watcher, rules
        )


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))


def evaluate(
    model: Annotated[str, typer.Argument(help="NAME, NAME@champion or NAME@VERSION.")],
    data: Annotated[Path, typer.Option(help="Data of the model's kind: a file or a folder.")],
    as_json: AsJson = False,
) -> None:
    """Measure a registered model on data, and record the figures in its card.

    On the data that the model was made from this opens the test part; each opening is logged. Of
    other pictures their test part is measured, of other records all.
    """
    from rich.console import Console

    from polyclinic.diagnosis.imaging.evaluation import evaluate_file as evaluate_images
    from polyclinic.diagnosis.records.evaluation import evaluate_file as evaluate_records
    from polyclinic.registry.starters import install_starters
    from polyclinic.registry.store import open_registry

    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(model)
    with Console(stderr=True).status("Measuring"):
        if version.kind.startswith(TREATMENT):
            from polyclinic.core.settings import settings
            from polyclinic.treatment.models import evaluate_model
            from polyclinic.treatment.rules import open_rules

            rules = open_rules(settings())
            evaluation = evaluate_model(registry, version, data, person(), rules)
        else:
            measure = evaluate_records if version.kind == RECORD else evaluate_images
            evaluation = measure(registry, version, data, person())
    if as_json:
        print_json({"model": version.identity, "evaluation": evaluation})
        return
    print_evaluation(evaluation, f"{version.identity.name}@{version.version}")
    if evaluation.part == "test":
        opened = len(registry.test_openings(evaluation.dataset_digest))
        say(f"The test part of {evaluation.dataset} has now been opened {opened} time(s) here.")


def print_evaluation(evaluation: "Evaluation", model: str) -> None:
    """The figures of an evaluation as tables."""
    title = f"{model} on {evaluation.dataset}, {evaluation.part}, {evaluation.examples} examples"
    rows = [(name, _show(estimate)) for name, estimate in evaluation.metrics.items()]
    conformal = evaluation.conformal
    rows += [
        ("abstained", _show(evaluation.abstained)),
        ("unfamiliar", _show(evaluation.unfamiliar)),
    ]
    if conformal is not None:
        rows.append((f"coverage (promised {conformal.promised:.0%})", _show(conformal.coverage)))
        rows += [
            (f"coverage, {label}", _show(estimate))
            for label, estimate in conformal.coverage_by_label.items()
        ]
    print_table(title, ("measure", "value (95% CI)"), rows)
    for compared in evaluation.comparisons:
        figures = ", ".join(f"{name} {_show(each)}" for name, each in compared.metrics.items())
        say(f"{compared.name} {compared.group}({compared.examples:,}): {figures}")
    for label in dict.fromkeys(result.point.label for result in evaluation.operating_points):
        _print_operating_points(
            label, [each for each in evaluation.operating_points if each.point.label == label]
        )
    for note in evaluation.notes:
        say(f"note: {note}")


def _print_operating_points(label: str, results: "Sequence[OperatingPointResult]") -> None:
    names = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1")
    print_table(
        f"Operating points of {label} (* decides)",
        ("", *(each.point.name + (" *" if each.chosen else "") for each in results)),
        [
            ("threshold", *(f"{each.point.threshold:.3f}" for each in results)),
            *((name, *(_show(each.metrics.get(name)) for each in results)) for name in names),
        ],
    )


def _show(estimate: "Estimate | None") -> str:
    if estimate is None:
        return "undefined"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _need_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise Unavailable(
            "Training needs packages that are not installed.",
            remedy="pip install 'polyclinic[train]'",
        )


class _Watcher:
    """Shows a run's steps, epochs and trials as progress bars."""

    def __init__(self, progress: "Progress", epochs: int | None = None) -> None:
        self._progress = progress
        self._epochs = epochs
        self._task: TaskID | None = None

    def step(self, name: str) -> None:
        """A step begins, so the one before it is done."""
        if self._task is not None:
            total = self._progress.tasks[self._task].total or 1
            self._progress.update(self._task, completed=total, total=total)
        total_epochs = self._epochs if name.startswith("train") else None
        self._task = self._progress.add_task(name, total=total_epochs, said="")

    def read(self, done: int, files: int) -> None:
        """So many picture files are read."""
        self._update(completed=done, total=files, said=f"{done:,} of {files:,} pictures")

    def epoch(self, epoch: "Epoch") -> None:
        """An epoch is done."""
        said = f"epoch {epoch.number}: validation loss {epoch.validation_loss:.4f}"
        self._update(completed=epoch.number, said=said)

    def trial(self, number: int, loss: float) -> None:
        """A trial of the tuner is done."""
        self._update(completed=number, said=f"trial {number}: best validation loss {loss:.4f}")

    def _update(self, **fields: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, **fields)
