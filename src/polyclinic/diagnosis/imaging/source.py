"""Data sets of pictures: MedMNIST files, a folder per class, a CSV manifest, a folder of DICOM."""

from pathlib import Path

from polyclinic.core.errors import NotFound, UnsupportedInput
from polyclinic.core.prediction import Coding
from polyclinic.diagnosis.imaging.sources.assembly import Progress, assemble
from polyclinic.diagnosis.imaging.sources.folder import list_folder
from polyclinic.diagnosis.imaging.sources.listing import SUBGROUPS, Source, Wanted
from polyclinic.diagnosis.imaging.sources.manifest import MANIFEST, list_manifest
from polyclinic.diagnosis.imaging.sources.medmnist import read_medmnist


def read_source(
    path: Path,
    labels: tuple[Coding, ...] | None = None,
    *,
    size: int | None = None,
    channels: int | None = None,
    seed: int = 0,
    name: str | None = None,
    licence: str = "not stated",
    source: str = "not stated",
    multi_label: bool = False,
    subgroups: tuple[str, ...] = SUBGROUPS,
    progress: Progress = lambda *_: None,
) -> Source:
    """The data set at `path`, whose kind the path tells.

    - `X.npz`: a MedMNIST file (`sources.medmnist`).
    - `X.csv`: a manifest (`sources.manifest`).
    - a folder with a `labels.csv`: that manifest; so is a folder of DICOM read, of whose headers
      come patient (hashed), sex and age band where the manifest has no such column.
    - a folder: one folder a class, in parts or not (`sources.folder`).

    Pictures become (n, channels, size, size) uint8. Without parts in the source, patients are dealt
    to them by `seed`. Of attributes only `subgroups` are kept. Without `labels` the source's own
    words are the labels, in sorted order.
    With `multi_label` a manifest's label is none, one or several labels, joined by `|`; a MedMNIST
    file tells of itself whether it has several.
    Raises `NotFound`, or `InvalidInput` naming the place.
    """
    wanted = Wanted(
        name=name or path.stem,
        licence=licence,
        source=source,
        labels=labels,
        size=size,
        channels=channels,
        seed=seed,
        multi_label=multi_label,
        subgroups=subgroups,
    )
    if path.suffix == ".npz":
        return Source(read_medmnist(path, wanted))
    if path.is_dir():
        manifest = path / MANIFEST
        listed = manifest.is_file()
        entries = list_manifest(manifest, multi_label) if listed else list_folder(path)
    elif not path.exists():
        raise NotFound("There is no such data.", where=str(path))
    elif path.suffix == ".csv":
        entries = list_manifest(path, multi_label)
    else:
        raise UnsupportedInput(
            "This is no source of pictures.",
            where=str(path),
            remedy="Give an .npz file, a .csv file, or a folder.",
        )
    return assemble(entries, wanted, str(path), progress)
