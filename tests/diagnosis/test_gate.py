import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from PIL import Image
from trained_spots import Trained

from hostile import dicom
from pictures import encode, spots
from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.core.prediction import Prediction
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.gate import Accepts, admit
from polyclinic.diagnosis.imaging.reader import open_picture
from polyclinic.diagnosis.imaging.readers.picture import Header, Picture

if TYPE_CHECKING:
    from conftest import Trained

CHEST = Accepts(modalities=("DX", "CR"), body_parts=("CHEST",))
GREY = spots(2, seed=0, size=64)[0][1]


def picture(pixels: np.ndarray, **header: str) -> Picture:
    return Picture(Image.fromarray(pixels), Header(**header))  # type: ignore[arg-type]


def ct_and_mr() -> list[bytes]:
    """The files inside pydicom with pixels whose header says that they are of CT or MR."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    found = []
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        if data[128:132] == b"DICM":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                header = pydicom.dcmread(path)
            if header.get("Modality") in ("CT", "MR") and "PixelData" in header:
                found.append(data)
    return found


def test_every_ct_and_mr_is_refused_for_a_model_of_chest_x_rays() -> None:
    files = ct_and_mr()
    assert len(files) >= 12
    reasons = []
    for data in files:
        with pytest.raises(InvalidInput) as refused:
            admit(open_picture(data, 10**6), 28, CHEST)
        reasons.append(refused.value.where)
    # Two are damaged, and refused before their header is asked.
    assert reasons.count("Modality") >= len(files) - 2


def test_the_header_decides_only_where_it_speaks() -> None:
    assert admit(picture(GREY), 28, CHEST) == ()
    assert admit(picture(GREY, modality="DX", body_part="CHEST"), 28, CHEST) == ()
    assert admit(picture(GREY, modality="MR"), 28, Accepts()) == ()
    with pytest.raises(UnsupportedInput, match="DX or CR"):
        admit(picture(GREY, modality="US"), 28, CHEST)
    with pytest.raises(UnsupportedInput, match="CHEST") as refused:
        admit(picture(GREY, modality="DX", body_part="KNEE"), 28, CHEST)
    assert refused.value.where == "BodyPartExamined"


@pytest.mark.parametrize("tone", [0, 77, 255])
def test_a_blank_picture_is_refused(tone: int) -> None:
    with pytest.raises(InvalidInput, match="blank"):
        admit(picture(np.full((64, 64), tone, np.uint8)), 28, Accepts())


@pytest.mark.parametrize(("tone", "says"), [(1, "black"), (254, "white")])
def test_a_picture_nearly_all_black_or_white_is_refused(tone: int, says: str) -> None:
    pixels = GREY.clip(10, 245)
    pixels[:61] = tone
    with pytest.raises(InvalidInput, match=says):
        admit(picture(pixels), 28, Accepts())
    pixels[58:61] = 100
    assert admit(picture(pixels), 28, Accepts()) == ()


def test_what_the_model_would_not_see_has_no_say() -> None:
    wide = np.zeros((64, 192), np.uint8)
    wide[:, :60] = 200
    with pytest.raises(InvalidInput, match="blank"):
        admit(picture(wide), 28, Accepts())


def test_a_strip_is_refused_and_a_long_picture_warned_of() -> None:
    with pytest.raises(InvalidInput, match="strip"):
        admit(picture(np.tile(GREY, (1, 5))), 28, Accepts())
    (warning,) = admit(picture(np.tile(GREY, (2, 1))), 28, Accepts())
    assert "only the centred 64 × 64" in warning


def test_a_picture_smaller_than_the_model_is_enlarged_with_a_warning() -> None:
    (warning,) = admit(picture(GREY[:20, :24]), 28, Accepts())
    assert "24 × 20" in warning
    assert picture(GREY[:20, :24]).fitted(1, 28).shape == (1, 28, 28)


def test_warnings_stand_in_the_answer_and_a_refused_item_fails_alone(trained: "Trained") -> None:
    model = ImageClassifier.load(trained.registry, trained.version)
    frames = b"".join(GREY.tobytes() for _ in range(3))
    items = [
        encode(np.zeros((16, 16), np.uint8)),
        encode(GREY),
        dicom(pixels=frames, NumberOfFrames=3),
    ]
    blank, usual, several = model.predict(items)
    assert isinstance(blank, InvalidInput)
    assert isinstance(usual, Prediction)
    assert usual.warnings == ()
    assert isinstance(several, Prediction)
    assert several.warnings == ("Frame 2 of 3, the middle one, was read.",)


def test_no_chest_x_ray_of_the_shared_set_is_refused(shared_data: Path) -> None:
    with np.load(shared_data / "chest-xray/pneumoniamnist-3882.npz") as file:
        for part in ("train", "val", "test"):
            for pixels in file[f"{part}_images"]:
                assert admit(picture(pixels), 28, CHEST) == ()
