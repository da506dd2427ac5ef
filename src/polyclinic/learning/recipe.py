"""Recipes: one YAML file names data, model and settings for the five steps."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from polyclinic.core.errors import InvalidInput, NotFound
from polyclinic.core.frozen import Frozen

RecipeT = TypeVar("RecipeT", bound=Frozen)


def read_yaml(path: Path) -> dict[str, Any]:
    """A recipe file's content.

    Raises `NotFound` where there is no such file, `InvalidInput` where it is not a YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(f"The recipe cannot be read: {error.strerror}.", where=str(path)) from None
    except UnicodeDecodeError:
        raise InvalidInput("The recipe is not UTF-8 text.", where=str(path)) from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"The recipe is not YAML: {error}", where=str(path)) from None
    if not isinstance(content, dict):
        raise InvalidInput("The recipe is not a YAML mapping.", where=str(path))
    return content


def parse_recipe(content: dict[str, Any], recipe_type: type[RecipeT], where: str) -> RecipeT:
    """The typed recipe; raises `InvalidInput` naming every field that is wrong."""
    try:
        return recipe_type.model_validate(content)
    except ValidationError as error:
        faults = (
            f"{'.'.join(str(part) for part in fault['loc']) or 'recipe'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise InvalidInput("; ".join(faults), where=where) from None


def override(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's content with dotted paths such as `train.learning_rate` replaced.

    Raises `InvalidInput` where a path leads through something that is not a mapping.
    """
    result = dict(content)
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        if not rest:
            result[head] = value
            continue
        inner = result.get(head, {})
        if not isinstance(inner, dict):
            raise InvalidInput(f"{head!r} has no settings inside.", where=path)
        result[head] = override(inner, {rest: value})
    return result
