"""The model card: 31 attributes, each answered or a named gap; readable, safe, self-contained."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt

from polyclinic import NOTICE
from polyclinic.core.digest import sha256
from polyclinic.core.evaluation import Evaluation
from polyclinic.core.prediction import Coding
from polyclinic.registry.card import Card, model_card
from polyclinic.registry.history import Opening
from polyclinic.registry.manifest import CardText, Manifest
from polyclinic.registry.signing import Signature
from polyclinic.registry.version import ModelVersion
from polyclinic.registry.wording import measure
from sample_model import DATASET, LABELS, TIME, sample_evaluation, sample_files, sample_manifest

FULL_TEXT = CardText(**{name: f"The {name} text" for name in CardText.model_fields})


def card_of(*evaluations: Evaluation, **changes: Any) -> Card:
    manifest = sample_manifest(sample_files(), **changes)
    version = version_of(manifest)
    openings = [Opening(dataset_digest=DATASET, model_digest=version.digest, time=TIME, by="Ada")]
    return model_card(version, evaluations, openings)


def version_of(manifest: Manifest) -> ModelVersion:
    document = manifest.document()
    signature = Signature(signer="0" * 64, value="0" * 128)
    digest = sha256(document)
    return ModelVersion(manifest.name, manifest.kind, manifest.created, digest, document, signature)


def origins(card: Card) -> dict[str, str]:
    return {attribute.paragraph: attribute.origin for attribute in card.source_attributes}


def text(card: Card, paragraph: str) -> str:
    return next(a.text for a in card.source_attributes if a.paragraph == paragraph)


def test_there_are_the_31_attributes_of_the_regulation() -> None:
    counts = {"1": 4, "2": 4, "3": 2, "4": 4, "5": 2, "6": 4, "7": 5, "8": 4, "9": 2}
    numerals = ("i", "ii", "iii", "iv", "v")
    expected = [f"({n})({numerals[i]})" for n, count in counts.items() for i in range(count)]
    paragraphs = [attribute.paragraph for attribute in card_of().source_attributes]
    assert paragraphs == expected
    assert len(paragraphs) == 31


def test_every_card_text_is_printed_and_an_absent_one_is_a_named_gap() -> None:
    full, empty = card_of(card=FULL_TEXT), card_of(card=CardText(title="T"))
    for name in CardText.model_fields:
        if name == "title":
            continue
        stated = [a for a in full.source_attributes if a.text == f"The {name} text"]
        assert [a.origin for a in stated] == ["stated"], name
        assert f"The {name} text" in full.html()
        gap = next(a for a in empty.source_attributes if a.paragraph == stated[0].paragraph)
        assert gap.origin == "gap"
        assert f"card.{name} in" in gap.text
    assert full.gaps < empty.gaps


def test_what_was_not_measured_is_a_gap_that_says_how_to_fill_it() -> None:
    card = card_of()
    for paragraph in ("(6)(i)", "(6)(iii)", "(6)(iv)", "(7)(i)", "(7)(ii)", "(7)(iii)", "(7)(iv)"):
        assert origins(card)[paragraph] == "gap"
        assert "Not measured" in text(card, paragraph)
        assert "polyclinic evaluate" in text(card, paragraph)


def test_what_was_measured_fills_its_attribute() -> None:
    test = sample_evaluation("test", auc=0.912, subgroups=True)
    external = sample_evaluation("external", auc=0.834, dataset="Elsewhere")
    card = card_of(test, external)
    assert "0.912 (0.892 to 0.932)" in text(card, "(7)(i)")
    assert "sex female (250 examples)" in text(card, "(7)(ii)")
    assert "0.834" in text(card, "(7)(iii)")
    assert "Elsewhere: 524 examples" in text(card, "(6)(i)")
    assert origins(card)["(6)(iv)"] == "measured"
    # The external data named no subgroups.
    assert origins(card)["(7)(iv)"] == origins(card)["(6)(iii)"] == "gap"
    assert "no subgroups" in text(card, "(7)(iv)")


def test_validation_is_not_passed_off_as_a_test() -> None:
    card = card_of()
    assert origins(card)["(7)(i)"] == "gap"
    assert [evaluation.part for evaluation in card.evaluations] == ["validation"]
    assert card.best.part == "validation"
    assert card_of(sample_evaluation("test")).best.part == "test"


def test_the_card_is_the_same_as_json() -> None:
    card = card_of(sample_evaluation("test"))
    assert Card.model_validate_json(card.model_dump_json()) == card


@pytest.mark.parametrize("form", ["html", "markdown", "json"])
def test_every_form_tells_the_whole_story(form: str) -> None:
    card = card_of(sample_evaluation("test", auc=0.912, subgroups=True, notes=("Read me.",)))
    said = card.model_dump_json() if form == "json" else getattr(card, form)()
    said = said.replace("&#39;", "'")
    assert said.count(NOTICE) == 1
    for fact in (
        card.model.digest,
        card.model.version,
        "J18.9",
        "17621005",
        "CC-BY-4.0",
        "0.912",
        "sensitive",
        "balanced",
        "class-conditional",
        "female",
        "Read me.",
        "2.13.0",
        "seed: 7",
        "Ada",
        "network.onnx",
    ):
        assert fact in said, fact


def test_a_figure_of_the_hours_before_an_onset_is_called_what_it_is() -> None:
    assert measure("auprc_before_onset") == "Area under precision-recall, before onset"
    assert measure("ece_after_onset") == "Calibration error (ECE), after onset"


def test_a_label_that_is_no_finding_is_not_passed_off_as_one() -> None:
    card = card_of()
    assert [label.code for label in card.findings] == ["J18.9"]
    assert "| 17621005 | no |" in card.markdown()
    assert "| J18.9 | yes |" in card.markdown()
    assert "<code>17621005</code></td><td>no</td>" in card.html()
    assert text(card, "(1)(iii)").startswith("For each of Pneumonia")
    assert "(Normal; Pneumonia, unspecified organism)" in text(card, "(1)(iii)")


class _Page(HTMLParser):
    """Checks that tags close in order, and keeps what a page could load or run."""

    VOID = frozenset({"meta", "br", "line", "circle", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name, value or "") for name, value in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and self.open.pop() != tag:
            raise AssertionError(f"{tag} closes out of order")


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    html = card_of(sample_evaluation("test"), sample_evaluation("external")).html()
    page = _Page()
    page.feed(html)
    assert page.open == []
    assert "svg" in page.tags
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    loaded = {value for _, name, value in page.attributes if name in ("src", "data", "xlink:href")}
    assert loaded == set()
    assert not re.search(r"url\(|@import", html)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_hostile_text_stays_text() -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(2)> | [x](javascript:alert(3)) `'
    label = Coding(system="javascript:alert(4)", code="J18.9", display=evil)
    data = sample_manifest({}).data.model_copy(
        update={"name": evil, "source": "javascript:alert(5)"}
    )
    card = card_of(
        sample_evaluation("test", dataset=evil, notes=(evil,)),
        labels=(LABELS[0], label),
        data=data,
        recipe=evil,
        card=FULL_TEXT.model_copy(update={"title": evil, "out_of_scope": evil}),
    )
    for html in (card.html(), MarkdownIt("commonmark").enable("table").render(card.markdown())):
        page = _Page()
        page.feed(html)
        assert not page.tags & {"script", "img"}
        assert not [value for _, name, value in page.attributes if name.startswith("on")]
        assert not [v for _, name, v in page.attributes if name == "href" and "javascript" in v]


def test_a_card_of_little_is_still_a_card() -> None:
    bare = sample_evaluation(metrics={}, reliability=(), operating_points=(), patients=12)
    card = card_of(validation=bare, training={}, versions={}, artefacts={}, recipe="")
    assert "12 patients" in card.html()
    assert card.markdown().startswith("# ")
