import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_relied_on_is_listed_with_its_licence() -> None:
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    notice = (ROOT / "NOTICE").read_text()
    assert len(pinned) > 50
    missing = [
        name for name in pinned if not re.search(rf"^[* ] {re.escape(name)} +\S", notice, re.M)
    ]
    assert missing == []


def test_torch_is_pinned_to_the_tested_release() -> None:
    assert "torch==2.13.0\n" in (ROOT / "constraints.txt").read_text()
