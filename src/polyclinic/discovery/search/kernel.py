"""FPSim2's compiled search functions, without the rest of FPSim2.

`import FPSim2` also imports PyTables, SciPy and SQLAlchemy, for files that are not used here: about
a second and 55 MB of every process that searches.
"""

import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import Unavailable

_NAME = "FPSim2.FPSim2lib"

#: The best first: fields `mol_id`, which is the first column, and `coeff`.
Results = NDArray[np.void]


def _load() -> ModuleType:
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = find_spec("FPSim2")
    for folder in (package and package.submodule_search_locations) or ():
        finder = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES))
        spec = finder.find_spec(_NAME)
        if spec is not None and spec.loader is not None:
            # Under its own name, so that FPSim2, should it be imported later, finds it.
            module = sys.modules[_NAME] = module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise Unavailable("FPSim2 is not installed", remedy="Install it: pip install fpsim2")


_LIBRARY = _load()

#: Query (w + 2,), table (n, w + 2), least, k (0: all), metric (0: Tanimoto), first row, last + 1.
generic_search: Callable[..., Results] = _LIBRARY.GenericSearch
#: Query, table, first row, last + 1: the rows that have all bits of the query.
substructure_screenout: Callable[..., NDArray[np.uint32]] = _LIBRARY.SubstructureScreenout
