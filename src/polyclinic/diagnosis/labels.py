"""Labels as a recipe writes them."""

from polyclinic.core.prediction import Coding


class Label(Coding):
    """A label of the data, in the order of its numbers; `finding` says that it is a disease."""

    finding: bool = True

    def coding(self) -> Coding:
        """The label as a coding alone."""
        return Coding(system=self.system, code=self.code, display=self.display)
