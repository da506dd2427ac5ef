"""`polyclinic diagnose`: answers on this machine, without a running service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyclinic import NOTICE
from polyclinic.cli.output import AsJson, print_error, print_json, print_table, say
from polyclinic.core.errors import InvalidInput, PolyclinicError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polyclinic.core.model import Answer
    from polyclinic.core.prediction import Prediction, Reweighting
    from polyclinic.diagnosis.imaging.classifier import ImageClassifier
    from polyclinic.registry.store import ModelVersion, Registry
    from polyclinic.service.records import Sent

app = typer.Typer(help="Diagnose on this machine.", no_args_is_help=True)


@app.callback()
def diagnose() -> None:
    """Diagnose on this machine, without a running service."""


@app.command()
def image(
    files: Annotated[list[Path], typer.Argument(help="Pictures: PNG, JPEG, TIFF or DICOM.")],
    model: Annotated[str | None, typer.Option(help="NAME, NAME@candidate or NAME@VERSION.")] = None,
    heatmap: Annotated[
        Path | None, typer.Option(help="A folder to write a heat map per picture to.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Findings in pictures. A picture that cannot be read fails alone; then the exit code is 3."""
    from polyclinic.core.settings import settings
    from polyclinic.diagnosis.imaging.classifier import ImageClassifier

    registry, version = _opened(model or settings().image_model)
    classifier = ImageClassifier.load(registry, version)
    answers = _answers(classifier, files, explain=heatmap is not None)
    if heatmap is not None:
        _write_heatmaps(heatmap, files, answers)
    _tell(str(version), files, answers, classifier.reweighting, as_json=as_json)
    _fail(answers)


@app.command()
def record(
    files: Annotated[
        list[Path], typer.Argument(help="Records, each a JSON file as the service takes it.")
    ],
    model: Annotated[str | None, typer.Option(help="NAME, NAME@candidate or NAME@VERSION.")] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Rank what each answer rests on.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Findings in patient records. One that cannot be read fails alone; then the exit code is 3."""
    from polyclinic.core.settings import settings
    from polyclinic.diagnosis.records.classifier import RecordClassifier

    registry, version = _opened(model or settings().record_model)
    classifier = RecordClassifier.load(registry, version)
    sent = [_read_record(file) for file in files]
    readable = [each for each in sent if not isinstance(each, PolyclinicError)]
    predicted = iter(classifier.predict(readable, explain=evidence))
    told = [each if isinstance(each, PolyclinicError) else next(predicted) for each in sent]
    for file, answer in zip(files, told, strict=True):
        if isinstance(answer, PolyclinicError):
            answer.where = f"{file}{f' {answer.where}' if answer.where else ''}"
    _tell(str(version), files, told, classifier.reweighting, as_json=as_json)
    if evidence and not as_json:
        for file, answer in zip(files, told, strict=True):
            if not isinstance(answer, PolyclinicError):
                _print_evidence(file, answer)
    _fail(told)


def _opened(reference: str) -> "tuple[Registry, ModelVersion]":
    """The registry, starters included, and what a reference names in it."""
    from polyclinic.registry.starters import install_starters
    from polyclinic.registry.store import open_registry

    registry = open_registry()
    install_starters(registry)
    return registry, registry.resolve(reference)


def _read_record(file: Path) -> "Sent":
    """The record in a file as the service reads it, or what is wrong with it."""
    import orjson

    from polyclinic.service.records import FIELD, read_item

    try:
        content = orjson.loads(file.read_bytes())
    except OSError as error:
        return InvalidInput(f"The file cannot be read: {error.strerror}.")
    except orjson.JSONDecodeError as error:
        return InvalidInput(f"This is not JSON: {error}.")
    if isinstance(content, dict) and content.keys() == {FIELD}:  # as it is posted to the service
        items = content[FIELD]
        if not isinstance(items, list) or len(items) != 1:
            return InvalidInput("A file holds one record.", where=f"/{FIELD}")
        content = items[0]
    return read_item(content)


def _print_evidence(file: Path, answer: "Prediction") -> None:
    """What the first finding rests on, the weightiest first."""
    from base64 import b64decode

    from polyclinic.diagnosis.records.evidence import Evidence

    if answer.explanation is None:
        return
    found = Evidence.model_validate_json(b64decode(answer.explanation.content))
    print_table(
        f"{file}: {answer.explanation.finding.display}, what speaks for it and against",
        ("evidence", "value", "unit", "window", "direction", "log-odds"),
        (
            (
                piece.name,
                "unknown" if piece.value is None else f"{piece.value:g}",
                piece.unit,
                piece.window,
                piece.direction,
                f"{piece.contribution:+.3f}",
            )
            for piece in found.pieces
        ),
    )


def _tell(
    model: str,
    files: "Sequence[Path]",
    answers: "Sequence[Answer]",
    reweighting: "Reweighting | None",
    *,
    as_json: bool,
) -> None:
    """Print an answer a file, or its problem."""
    pairs = list(zip(files, answers, strict=True))
    if as_json:
        results = [
            {"file": file, "problem": answer.problem()}
            if isinstance(answer, PolyclinicError)
            else {"file": file, "prediction": answer}
            for file, answer in pairs
        ]
        print_json({"notice": NOTICE, "results": results})
        return
    answered = [(file, each) for file, each in pairs if not isinstance(each, PolyclinicError)]
    columns = ("file", "finding", "probability", "present", "familiarity", "abstains")
    print_table(model, columns, (_row(*pair) for pair in answered))
    for file, answer in answered:
        for warning in answer.warnings:
            say(f"{file}: {warning}")
    if reweighting is not None:
        say(f"Probabilities are re-weighted to this site: {reweighting.words}.")
    say(NOTICE)


def _fail(answers: "Sequence[Answer]") -> None:
    """Print what was wrong with each that has no answer, and end with the exit code of that."""
    failed = [answer for answer in answers if isinstance(answer, PolyclinicError)]
    for error in failed:
        print_error(error)
    if failed:
        raise typer.Exit(InvalidInput.exit_code)


def _answers(model: "ImageClassifier", files: "Sequence[Path]", *, explain: bool) -> "list[Answer]":
    """One answer a file; whatever is wrong with one names it."""
    answers: dict[int, Answer] = {}
    contents: dict[int, bytes] = {}
    for row, file in enumerate(files):
        try:
            contents[row] = file.read_bytes()
        except OSError as error:
            answers[row] = InvalidInput(f"The file cannot be read: {error.strerror}.")
    answers.update(
        zip(contents, model.predict(list(contents.values()), explain=explain), strict=True)
    )
    for row, answer in answers.items():
        if isinstance(answer, PolyclinicError):
            answer.where = str(files[row])
    return [answers[row] for row in range(len(files))]


def _write_heatmaps(folder: Path, files: "Sequence[Path]", answers: "Sequence[Answer]") -> None:
    from base64 import b64decode

    folder.mkdir(parents=True, exist_ok=True)
    written: set[str] = set()
    for file, answer in zip(files, answers, strict=True):
        if not isinstance(answer, PolyclinicError) and answer.explanation is not None:
            # Files of one name in several folders may be of several patients.
            digest = answer.provenance.input_digest
            name = f"{file.stem}-{digest[:12]}" if file.stem in written else file.stem
            written.add(name)
            target = folder / f"{name}-heatmap.png"
            target.write_bytes(b64decode(answer.explanation.content))
            say(f"Wrote {target}")


def _row(file: Path, answer: "Prediction") -> tuple[str, ...]:
    first = answer.findings[0]
    return (
        str(file),
        f"{first.coding.display} ({first.coding.code})",
        f"{first.probability:.3f}",
        "yes" if first.present else "no",
        f"{answer.familiarity.p_value:.3f}",
        answer.abstained or "no",
    )
