"""What can be wrong with what a plant has set."""

from __future__ import annotations

from typing import ClassVar

from inspection.errors import InspectionError


class ConfigError(InspectionError):
    """Base of this package's refusals."""

    code: ClassVar[str] = "CFG-ERROR"


class ConfigMissing(ConfigError):
    """No such recipe, station or catalogue. Facts: item, name, there (those that exist)."""

    code = "CFG-MISSING"


class ConfigSyntax(ConfigError):
    """The file is not TOML. Facts: file, why (with line and column)."""

    code = "CFG-SYNTAX"


class ConfigEncoding(ConfigSyntax):
    """The file's bytes are not UTF-8. Facts: file, why, line (of the first that is not)."""

    code = "CFG-ENCODING"


class RecipeNotChosen(ConfigError):
    """Of a lane's recipes none is meant, or two are. Facts: lane, asked, there."""

    code = "CFG-RECIPE-NOT-CHOSEN"


class ConfigInvalid(ConfigError):
    """The file is TOML, but not what it should be. Facts: file, count, mistakes (all of them, as text)."""

    code = "CFG-INVALID"
