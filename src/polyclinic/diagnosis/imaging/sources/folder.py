"""A folder per class: ROOT/class/*, or ROOT/{train,val,test}/class/*."""

from collections.abc import Iterator
from pathlib import Path

from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.imaging.sources.listing import Entry
from polyclinic.diagnosis.imaging.sources.parting import PARTS, TRAIN


def list_folder(root: Path) -> list[Entry]:
    """Every file at any depth below a class's folder; the folder's name is the label.

    Hidden files and folders are passed over. Raises `InvalidInput` where there is no such folder.
    """
    folders = _folders(root)
    parts = {folder: PARTS.get(folder.name.lower(), "") for folder in folders}
    if folders and all(parts.values()) and TRAIN in parts.values():
        return [
            entry
            for folder, part in parts.items()
            for label in _folders(folder)
            for entry in _entries(root, label, part)
        ]
    if len(folders) < 2:
        raise InvalidInput(
            "There are not two folders, one a class.",
            where=str(root),
            remedy="Put the pictures of each class in a folder of its own, or list them in a "
            "labels.csv with the columns path and label.",
        )
    return [entry for label in folders for entry in _entries(root, label, "")]


def _folders(parent: Path) -> list[Path]:
    return sorted(child for child in parent.iterdir() if child.is_dir() and not _hidden(child))


def _entries(root: Path, label: Path, part: str) -> Iterator[Entry]:
    for path in sorted(label.rglob("*")):
        inner = path.relative_to(label)
        if path.is_file() and not any(name.startswith(".") for name in inner.parts):
            yield Entry(path, str(path.relative_to(root)), label.name, part)


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")
