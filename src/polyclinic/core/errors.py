"""Typed errors: each becomes an RFC 9457 problem document and an exit code of the command line."""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from polyclinic.core.problem import Problem


class PolyclinicError(Exception):
    """What went wrong, where in the input, and what to do about it."""

    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong inside Polyclinic"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
        self.remedy = remedy

    def problem(self) -> "Problem":
        """This error as a problem document."""
        # Imported here: the command line, which prints errors its own way, starts without pydantic.
        from polyclinic.core.problem import Problem

        return Problem(
            type=f"urn:polyclinic:problem:{self.kind}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            where=self.where,
            remedy=self.remedy,
        )


class InvalidInput(PolyclinicError):
    """The input cannot be read or breaks a rule."""

    kind = "invalid-input"
    title = "The input cannot be used"
    status = 422
    exit_code = 3


class UnsupportedInput(InvalidInput):
    """The input is of a kind that is not read here."""

    kind = "unsupported-input"
    title = "The input is of a kind that is not supported"
    status = 415


class InputTooLarge(InvalidInput):
    """The input passes a limit."""

    kind = "input-too-large"
    title = "The input is too large"
    status = 413


class NotFound(PolyclinicError):
    """What was asked for by name does not exist."""

    kind = "not-found"
    title = "Not found"
    status = 404
    exit_code = 4


class IntegrityError(PolyclinicError):
    """A stored or received file is not what its digest or signature says."""

    kind = "integrity"
    title = "The file was refused"
    status = 500
    exit_code = 5


class Unavailable(PolyclinicError):
    """A part that is needed does not answer now."""

    kind = "unavailable"
    title = "The service is not available"
    status = 503
    exit_code = 6


class QualityRefused(PolyclinicError):
    """The data did not pass the quality gate."""

    kind = "quality-refused"
    title = "The data did not pass the quality gate"
    status = 422
    exit_code = 7


class Conflict(PolyclinicError):
    """The request contradicts what is already there."""

    kind = "conflict"
    title = "The request contradicts what is already there"
    status = 409
    exit_code = 8
