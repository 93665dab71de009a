"""Kinds of defect: what they are called in each language, how they are drawn, whether they are critical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class DefectKind(BaseModel):
    """One kind. `colour` is `#RRGGBB`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    en: Annotated[str, Field(min_length=1)]
    zh: Annotated[str, Field(min_length=1)]
    colour: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
    critical: bool = False

    def name(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


Catalogue = Mapping[str, DefectKind]
"""By code, in the order of the file."""
