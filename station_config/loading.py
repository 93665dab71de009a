"""TOML files to checked settings. All mistakes of a file at once, each with its key and what is allowed."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from inspection.types import RecipeRef
from station_config.base import FileSettings
from station_config.catalogue import Catalogue, DefectKind
from station_config.errors import ConfigEncoding, ConfigInvalid, ConfigMissing, ConfigSyntax
from station_config.schema import RecipeSettings, StationSettings

HERE = Path(__file__).parent

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe as read, and the reference that goes into every record made under it.

    text   the file's bytes, of which `ref` has the digest
    files  the bytes of what it needs beside it, by name, checked against their digests
    """

    settings: RecipeSettings
    ref: RecipeRef
    text: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)


def plant_recipes() -> Path:
    """Where a plant keeps recipes that it published, and the pictures and calibrations that they need: LYNCEUS_RECIPES,
    else the folder `var/recipes` here. It need not be there."""
    return Path(os.environ.get("LYNCEUS_RECIPES") or Path("var", "recipes"))


def load_recipe(name: str, *, folder: Path | None = None) -> Recipe:
    """The recipe called `name`, or the one in the file `name` if that ends in `.toml`. One that the plant published
    comes before the package's of that name. What is found by its name has to say that name: records, the PLC and the
    pages would know it by another.

    Raises ConfigMissing, ConfigSyntax, ConfigInvalid.
    """
    folders = (plant_recipes(), HERE / "recipes") if folder is None else (folder,)
    file = Path(name) if name.endswith(".toml") else _named(name, *folders, what="recipe")
    near = (file.parent, *folders)
    recipe = recipe_of(
        _read(file, what="recipe"), file, beside=lambda needed: _first_of(needed.file, near).read_bytes()
    )
    said = recipe.settings.name
    if not name.endswith(".toml") and said != name:
        raise _invalid(file, [f"name = {said!r}: the file is called {file.name}; call both the same"])
    return recipe


def _first_of(name: str, folders: Iterable[Path]) -> Path:
    """The file of that name in the first folder that has it; in the last one, where none has."""
    files = [folder / name for folder in folders]
    return next((file for file in files if file.exists()), files[-1])


def file_beside(name: str) -> Path:
    """Where a file that recipes need beside them lies: the plant's before the package's. It need not be there."""
    return _first_of(name, (plant_recipes(), HERE / "recipes"))


def recipe_of(text: bytes, file: Path, *, beside: Callable[[FileSettings], bytes]) -> Recipe:
    """A recipe from its text.

    file    what mistakes call it
    beside  reads what it needs beside it; raises OSError where that is not there

    Raises ConfigSyntax, ConfigInvalid.
    """
    settings = _checked(RecipeSettings, text, file)
    files, wrong = _files_of(settings, beside)
    if mistakes := [*settings.mistakes(load_catalogue()), *wrong]:
        raise _invalid(file, mistakes)
    digest = hashlib.sha256(text).hexdigest()
    return Recipe(
        settings=settings,
        ref=RecipeRef(name=settings.name, revision=settings.revision, sha256=digest),
        text=text,
        files=files,
    )


def recipe_beside(text: bytes, file: Path) -> Recipe:
    """As `recipe_of`; what it needs lies beside the plant's recipes."""
    return recipe_of(text, file, beside=lambda needed: file_beside(needed.file).read_bytes())


def _files_of(
    settings: RecipeSettings, beside: Callable[[FileSettings], bytes]
) -> tuple[dict[str, bytes], list[str]]:
    """What the recipe needs beside it, and what is wrong with that."""
    files: dict[str, bytes] = {}
    mistakes: list[str] = []
    for needed in (file for view in settings.seen_by.values() for file in view.files):
        try:
            data = beside(needed)
        except OSError as error:
            mistakes.append(f"{needed.file}: cannot be read beside the recipe: {error.strerror}")
            continue
        actual = hashlib.sha256(data).hexdigest()
        if actual != needed.sha256:
            mistakes.append(f"{needed.file}: its SHA-256 is {actual}, the recipe says {needed.sha256}")
        files[needed.file] = data
    return files, mistakes


def load_station(name: str, *, folder: Path | None = None) -> StationSettings:
    """The station called `name`, or the one in the file `name` if that ends in `.toml`, what its links carry shared
    among their cameras. Raises as load_recipe."""
    file = Path(name) if name.endswith(".toml") else _named(name, folder or HERE / "stations", what="station")
    return _checked(StationSettings, _read(file, what="station"), file).with_shared_links()


def load_catalogue(file: Path = HERE / "defects.toml") -> Catalogue:
    """The plant's kinds of defect. Raises as load_recipe."""
    data = _parsed(_read(file, what="catalogue"), file)
    mistakes: list[str] = []
    kinds: dict[str, DefectKind] = {}
    for code, entry in data.items():
        try:
            kinds[code] = DefectKind.model_validate(entry)
        except ValidationError as error:
            mistakes += (f"{code}.{mistake}" for mistake in _mistakes(error, DefectKind))
    if mistakes:
        raise _invalid(file, mistakes)
    return kinds


def _named(name: str, *folders: Path, what: str) -> Path:
    # Chosen among the files that are there, never built from the name: a name is no path.
    there = {file.stem: file for folder in folders[::-1] for file in sorted(folder.glob("*.toml"))}
    if name in there:
        return there[name]
    raise ConfigMissing(
        f"There is no {what} called {name!r}; there are: {', '.join(there) or 'none'}.",
        action="Choose one of these, or give the path of a .toml file.",
        item=what,
        name=name,
        there=", ".join(there) or "–",
    )


def _read(file: Path, *, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigMissing(
            f"The {what} {file} cannot be read: {error.strerror}.",
            action="Choose another, or check the path and its permissions.",
            item=what,
            name=str(file),
            there=error.strerror or str(error),
        ) from error


def _parsed(text: bytes, file: Path) -> dict[str, Any]:
    try:
        # Editors on Windows begin UTF-8 with a mark of it.
        return tomllib.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigEncoding(
            f"{file} is not UTF-8: line {line} is in another encoding.",
            action="Open it in the editor that wrote it and save it as UTF-8; UTF-16 and GBK are not read.",
            file=str(file),
            why=str(error),
            line=line,
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigSyntax(
            f"{file} is not TOML: {error}.",
            action="Mend the line it names; texts go in double quotes, numbers without.",
            file=str(file),
            why=str(error),
        ) from error


def _checked(model: type[M], text: bytes, file: Path) -> M:
    try:
        return model.model_validate(_parsed(text, file))
    except ValidationError as error:
        raise _invalid(file, list(_mistakes(error, model))) from error


def _invalid(file: Path, mistakes: list[str]) -> ConfigInvalid:
    return ConfigInvalid(
        f"{file} has {len(mistakes)} mistake(s): " + "; ".join(mistakes),
        action="Mend each of them; nothing of the file is used until then.",
        file=str(file),
        count=len(mistakes),
        mistakes="\n".join(f"  • {mistake}" for mistake in mistakes),
    )


def _mistakes(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    for detail in details:
        place = detail["loc"]
        # A list is also "too short" when all that is wrong is inside its entries: that is said there.
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places):
            yield _mistake(detail, model)


def _mistake(detail: ErrorDetails, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = sorted(_known_keys(model, detail["loc"][:-1]))
        close = get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        return f"{key} = {detail['input']!r}: unknown key; {hint}"
    if detail["type"] == "missing":
        return f"{key}: missing"
    return f"{key} = {detail['input']!r}: {detail['msg']}"


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """The keys allowed where `location` points to; several models, when one of several may stand there."""
    models = {model}
    for part in location:
        fields = [m.model_fields[part] for m in models if isinstance(part, str) and part in m.model_fields]
        if fields:
            models = {inner for field in fields for inner in _models_in(field.annotation)}
    return {name for m in models for name in m.model_fields}


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
