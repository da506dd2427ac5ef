"""The models that come with the package, there at the first start."""

from importlib.resources import files
from pathlib import Path

import polyclinic
from polyclinic.registry.bundle import SUFFIX, import_bundle
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

STARTERS = Path(str(files(polyclinic))) / "starters"


def install_starters(registry: Registry, folder: Path = STARTERS) -> list[ModelVersion]:
    """Import each bundle of `folder` that is not there yet; those that were imported.

    A starter becomes the champion where its name has none: what a site chose, stays. Quick when
    there is nothing to do. Raises `IntegrityError` for a bundle that is not as it was shipped.
    """
    installed = []
    for bundle in sorted(folder.glob(f"*{SUFFIX}")):
        name, _, digits = bundle.stem.rpartition("-")
        if not any(version.version == digits for version in registry.versions(name)):
            installed.append(import_bundle(registry, bundle))
        if not any(approval.alias == "champion" for approval in registry.aliases(name)):
            reference = f"{name}@{digits}"
            registry.promote(reference, by=polyclinic.__name__, reason="Comes with the package")
    return installed
