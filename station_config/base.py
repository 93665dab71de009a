"""What all settings are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Code = Annotated[str, Field(min_length=1, max_length=40)]
Share = Annotated[float, Field(ge=0, le=1)]
AtLeastZero = Annotated[float, Field(ge=0)]


class Settings(BaseModel):
    """Frozen, and unknown keys are refused: a misspelt limit would be a limit that does not hold."""

    # A limit at infinity would be one that never holds.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileSettings(Settings):
    """A file beside the recipe, and the SHA-256 of its bytes: a changed one is another recipe."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
