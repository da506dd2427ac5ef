"""Settings, from the environment (`POLYCLINIC_*`) and `$POLYCLINIC_HOME/polyclinic.toml`."""

import os
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from polyclinic.core.errors import InvalidInput

SETTINGS_FILE = "polyclinic.toml"


def default_home() -> Path:
    """The folder of all state: `$POLYCLINIC_HOME`, or `.polyclinic` in the user's home."""
    return Path(os.environ.get("POLYCLINIC_HOME") or Path.home() / ".polyclinic")


class Settings(BaseSettings):
    """Every setting, with its default; the environment wins over the file.

    formulary: a CSV of the site's own drugs; safety_rules: a folder of its own safety rules.
    """

    model_config = SettingsConfigDict(env_prefix="POLYCLINIC_", extra="forbid", frozen=True)

    home: Path = Field(default_factory=default_home)
    database_url: str = ""
    blobs_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    inference_threads: int = Field(default=1, ge=1)
    max_batch: int = Field(default=32, ge=1)
    max_upload_bytes: int = Field(default=32 * 2**20, ge=1)
    max_items: int = Field(default=64, ge=1)
    max_pixels: int = Field(default=48 * 10**6, ge=1)
    max_queue: int = Field(default=512, ge=1)
    image_model: str = "chest-xray-pneumonia"
    record_model: str = "aki"
    treatment_model: str = "orders"
    formulary: Path | None = None
    safety_rules: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The constructor, then the environment, then the file."""
        file = TomlConfigSettingsSource(settings_cls, default_home() / SETTINGS_FILE)
        return init_settings, env_settings, file

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL; SQLite in the home folder unless one is set."""
        return self.database_url or f"sqlite:///{self.home / 'polyclinic.db'}"

    @property
    def blobs(self) -> str:
        """The blob store's fsspec URL; a folder in the home folder unless one is set."""
        return self.blobs_url or f"file://{self.home / 'blobs'}"


@cache
def settings() -> Settings:
    """This process's settings, read once.

    Raises `InvalidInput` naming the setting that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            first["msg"],
            where=f"setting {name}",
            remedy=f"Correct POLYCLINIC_{name.upper()} or {default_home() / SETTINGS_FILE}.",
        ) from None
