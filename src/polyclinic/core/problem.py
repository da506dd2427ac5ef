"""Problem documents: how an error looks from outside."""

from pydantic import BaseModel, ConfigDict


class Problem(BaseModel):
    """A problem document (RFC 9457, section 3), with the members `where` and `remedy` added."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    where: str | None = None
    remedy: str | None = None
