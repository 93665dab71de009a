"""The life of a plant's recipes: proposed with a reason, approved by a second person, published, taken up by lanes.

The audit is the book of it, as of models: where a recipe stands is read from the entries about it. Texts lie beside the
plant's recipes by their SHA-256, and one that is not what its entry says is not used.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from difflib import unified_diff
from functools import reduce
from pathlib import Path
from typing import Any, Final

from inspection.errors import InspectionError
from models.store import ModelStore
from services.access import Right, check_right_of
from services.recipe_archive import (
    Carried,
    RecipeArchiveUnfit,
    RecipeModelsMissing,
    RecipeNotPublished,
    archive_of,
    missing_models,
)
from station_config import (
    Recipe,
    file_beside,
    load_recipe,
    plant_recipes,
    recipe_beside,
    recipe_of,
)
from station_config.schema import RecipeSettings
from traceability.accounts import Accounts, AuditEntry, Person, note
from traceability.merkle import Sealer
from traceability.store import TraceStore

_MOST_ENTRIES: Final = 10_000


class RecipeGateClosed(InspectionError):
    """Base of what a step is missing. All: recipe, revision."""

    code = "SVC-RECIPE-GATE-CLOSED"


class RecipeUnchanged(RecipeGateClosed):
    """What is proposed says what is in force."""

    code = "SVC-RECIPE-UNCHANGED"


class RecipeOfAnother(RecipeGateClosed):
    """The text is that of a recipe of another name. Facts: name."""

    code = "SVC-RECIPE-OF-ANOTHER"


class RecipeNotProposed(RecipeGateClosed):
    """There is nothing to approve or publish."""

    code = "SVC-RECIPE-NOT-PROPOSED"


class RecipeSecondPerson(RecipeGateClosed):
    """Who proposed it may not approve it. Facts: person."""

    code = "SVC-RECIPE-SECOND-PERSON"


class RecipeUnseen(RecipeGateClosed):
    """Another text waits than the one that was looked at."""

    code = "SVC-RECIPE-UNSEEN"


class RecipeNotApproved(RecipeGateClosed):
    """Nobody else has approved it."""

    code = "SVC-RECIPE-NOT-APPROVED"


class RecipeMoved(RecipeGateClosed):
    """What is in force is not what the change was made from."""

    code = "SVC-RECIPE-MOVED"


class RecipeAltered(RecipeGateClosed):
    """The kept text is not the one that was proposed, or is gone."""

    code = "SVC-RECIPE-ALTERED"


class RecipeTextUnknown(InspectionError):
    """No text of that digest is kept of the recipe. Facts: recipe, sha256."""

    code = "SVC-RECIPE-TEXT-UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a proposal was published before: the station, its revision and text there, and the key that signed."""

    station: str
    revision: int
    sha256: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A text that waits. `base` is the digest of what it was made from, empty where the recipe is new here;
    `approved_by` of another person; `origin` where it came from another station."""

    revision: int
    sha256: str
    base: str
    by: str | None
    at: datetime
    reason: str | None
    approved_by: str | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A revision that came into force. `by` who published it."""

    revision: int
    sha256: str
    by: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`in_force` as lanes read it, None where the recipe came from another station and waits; `history` newest
    first."""

    in_force: Recipe | None
    proposal: Proposal | None
    history: tuple[Published, ...]

    @property
    def published_now(self) -> Published | None:
        """What made the text that is in force; None where it was not approved and published here."""
        last = next(iter(self.history), None)
        is_in_force = (
            last is not None and self.in_force is not None and last.sha256 == self.in_force.ref.sha256
        )
        return last if is_in_force else None


@dataclass(frozen=True, slots=True)
class RecipeLife:
    """Of the recipes of a plant, over its records. Who acts must have the right to: see docs/access.md."""

    store: TraceStore
    folder: Path = field(default_factory=plant_recipes)

    def steps(self, name: str) -> tuple[AuditEntry, ...]:
        """All that was done with it, oldest first."""
        entries = Accounts(self.store).audit(limit=_MOST_ENTRIES, subject=f"recipe:{name}")
        return entries[::-1]

    def names(self) -> tuple[str, ...]:
        """Of all recipes that were ever proposed here, in alphabetical order."""
        subjects = Accounts(self.store).subjects("recipe.proposed")
        return tuple(subject.removeprefix("recipe:") for subject in subjects)

    def standing(self, name: str) -> Standing:
        """Raises CFG- errors where the recipe in force cannot be read, or there is none and none waits."""
        return self._standing(name, may_be_new=False)

    def _standing(self, name: str, *, may_be_new: bool) -> Standing:
        steps = self.steps(name)
        return _after_all(steps, self._in_force(name, may_be_none=may_be_new or bool(steps)))

    def on_record(self, name: str) -> Standing:
        """What waits and what was published of a recipe whose file cannot be read, so that nothing is in force of it
        that could be told."""
        return _after_all(self.steps(name), None)

    def propose(self, name: str, text: str, *, by: Person, at: datetime, reason: str) -> Standing:
        """Its revision becomes the next one, whatever the text says.

        Raises CFG- errors with every mistake of the text, RecipeOfAnother, RecipeUnchanged.
        """
        check_right_of(by, Right.CONFIGURE)
        return self._propose(name, text, by=by, at=at, reason=reason, origin=None)

    def bring_in(self, carried: Carried, *, by: Person, at: datetime, reason: str) -> Standing:
        """What another station published, as a proposal: a second person here approves it, and nothing acts before.

        Raises RecipeModelsMissing with the models that are not here, RecipeArchiveUnfit where a file of that name with
        other bytes lies beside the recipes, or one of its files would itself be read as a recipe; and as `propose`.
        """
        check_right_of(by, Right.CONFIGURE)
        told = carried.manifest
        if missing := missing_models(told, ModelStore.of_plant()):
            named = ", ".join(str(one) for one in missing)
            raise RecipeModelsMissing(
                f"{told.recipe} needs models that are not here: {named}.",
                action="Bring them in first.",
                recipe=told.recipe,
                models=named,
            )
        given = recipe_of(carried.text, Path(told.recipe), beside=carried.beside_it)
        if (given.settings.name, given.settings.revision) != (told.recipe, told.revision):
            raise _unfit(f"its text is {given.settings.name} {given.settings.revision}", told.recipe)
        if strange := sorted(set(carried.beside) - set(given.files)):
            raise _unfit(f"the recipe does not need {', '.join(strange)}", told.recipe)
        for file, data in given.files.items():
            here = file_beside(file)
            if file == self._texts.name or here.is_dir():
                raise _unfit(f"{file} is a folder beside the recipes here", told.recipe)
            if file.lower().endswith(".toml") and _may_be_recipe(data):
                # It would be in force as soon as it lies there, and nobody would have approved it.
                raise _unfit(f"{file} beside it is a recipe itself", told.recipe)
            if here.exists() and here.read_bytes() != data:
                raise _unfit(f"another file called {file} lies beside the recipes here", told.recipe)
        for file, data in given.files.items():
            _write(self.folder / file, data)
        origin = Origin(station=told.station, revision=told.revision, sha256=given.ref.sha256, key=told.key)
        text = carried.text.decode("utf-8")
        return self._propose(told.recipe, text, by=by, at=at, reason=reason, origin=origin)

    def archive(self, name: str, *, station: str, sealer: Sealer) -> bytes:
        """What is in force, for another station. Raises RecipeNotPublished, MOD- errors of its models."""
        stands = self.standing(name)
        current, published = stands.in_force, stands.published_now
        if current is None or published is None:
            raise RecipeNotPublished(
                f"What is in force of {name} was not approved and published here.",
                action="Propose it, have a second person approve it, and publish it first.",
                recipe=name,
            )
        return archive_of(current, station=station, published_at=published.at, sealer=sealer)

    def _propose(
        self, name: str, text: str, *, by: Person, at: datetime, reason: str, origin: Origin | None
    ) -> Standing:
        stands = self._standing(name, may_be_new=origin is not None)
        current, revision = stands.in_force, self.next_revision(stands)
        given = recipe_beside(_as_revision(text, revision).encode(), Path(name))
        facts: dict[str, object] = {"recipe": name, "revision": revision}
        if given.settings.name != name:
            raise RecipeOfAnother(
                f"The text is that of {given.settings.name}, not of {name}.",
                action="Leave its name as it is.",
                name=given.settings.name,
                **facts,
            )
        if current is not None:
            if given.settings == current.settings.model_copy(update={"revision": revision}):
                raise RecipeUnchanged(
                    f"{name} says already what is proposed.", action="Change something first.", **facts
                )
            self._keep_text(current.text)
        self._keep_text(given.text)
        told: dict[str, Any] = {
            "revision": revision,
            "sha256": given.ref.sha256,
            "base": "" if current is None else current.ref.sha256,
        }
        if origin is not None:
            told["origin"] = asdict(origin)
        self._note(name, "recipe.proposed", told, by=by, at=at, reason=reason, before=_of_recipe(current))
        return self.standing(name)

    def check_seen(self, name: str, sha256: str) -> Proposal:
        """What waits, where that is the text of that digest, which somebody looked at. Raises RecipeNotProposed,
        RecipeUnseen."""
        waits = self._proposal(name)
        if waits.sha256 != sha256:
            raise RecipeUnseen(
                f"Another change of {name} waits by now than the one that was looked at.",
                action="Look at it first.",
                recipe=name,
                revision=waits.revision,
            )
        return waits

    def approve(self, name: str, sha256: str, *, by: Person, at: datetime) -> Standing:
        """The text of that digest, by another person than who proposed it. Raises RecipeGateClosed."""
        check_right_of(by, Right.APPROVE)
        waits = self.check_seen(name, sha256)
        if by.name == waits.by:
            raise RecipeSecondPerson(
                f"{by.name} has proposed {name} {waits.revision}: a second person approves.",
                action="Ask somebody else who may approve.",
                recipe=name,
                revision=waits.revision,
                person=by.name,
            )
        self.text_of(name, waits.sha256)
        told = {"revision": waits.revision, "sha256": waits.sha256}
        before = _of_recipe(self._in_force(name, may_be_none=True))
        self._note(name, "recipe.approved", told, by=by, at=at, before=before)
        return self.standing(name)

    def publish(self, name: str, *, by: Person, at: datetime) -> Standing:
        """Lanes read it from now on; who asks them to is the caller. Raises RecipeGateClosed, CFG- errors."""
        check_right_of(by, Right.CONFIGURE)
        waits = self._proposal(name)
        facts: dict[str, object] = {"recipe": name, "revision": waits.revision}
        if waits.approved_by is None:
            raise RecipeNotApproved(
                f"{name} {waits.revision} has not been approved by a second person.",
                action="Ask somebody else who may approve.",
                **facts,
            )
        in_force = self._in_force(name, may_be_none=True)
        current = "" if in_force is None else in_force.ref.sha256
        if current != waits.base:
            raise RecipeMoved(
                f"{name} was changed since {waits.revision} was proposed.",
                action="Propose the change again, from what is in force now.",
                **facts,
            )
        text = self.text_of(name, waits.sha256).encode()
        recipe_beside(text, Path(name))
        told = {"revision": waits.revision, "sha256": waits.sha256, "before": current}
        with self.store.writing() as connection:
            note(
                connection,
                at=at,
                by=by,
                action="recipe.published",
                subject=f"recipe:{name}",
                before=_of_recipe(in_force),
                after=told,
            )
            _write(self.folder / f"{name}.toml", text)
        return self.standing(name)

    def text_of(self, name: str, sha256: str) -> str:
        """A text of the recipe that was in force or proposed. Raises RecipeTextUnknown, RecipeAltered."""
        file = self._texts / f"{sha256}.toml"
        current = self._in_force(name, may_be_none=True)
        if current is not None and sha256 == current.ref.sha256:
            return current.text.decode("utf-8")
        known = {str((step.after or {}).get(key)) for step in self.steps(name) for key in ("sha256", "base")}
        if sha256 not in known:
            raise RecipeTextUnknown(
                f"No text {sha256} of {name} is kept.",
                action="Choose one of the revisions on its page.",
                recipe=name,
                sha256=sha256,
            )
        text = file.read_bytes() if file.exists() else b""
        if hashlib.sha256(text).hexdigest() != sha256:
            raise RecipeAltered(
                f"The kept text of {name} is not the one that was proposed.",
                action="Propose the change again.",
                recipe=name,
                revision=0,
            )
        return text.decode("utf-8")

    def difference(self, name: str, before: str, after: str) -> tuple[str, ...]:
        """Lines of a unified difference between two texts, by their digests, an empty one for no text; none where they
        are the same."""
        old, new = (self.text_of(name, one).splitlines() if one else [] for one in (before, after))
        return tuple(unified_diff(old, new, lineterm="", n=3))[2:]

    @staticmethod
    def next_revision(stands: Standing) -> int:
        now = () if stands.in_force is None else (stands.in_force.settings.revision,)
        return 1 + max((*now, *(one.revision for one in stands.history)), default=0)

    @staticmethod
    def _in_force(name: str, *, may_be_none: bool) -> Recipe | None:
        """Raises CFG- errors."""
        return None if may_be_none and not file_beside(f"{name}.toml").exists() else load_recipe(name)

    @property
    def _texts(self) -> Path:
        return self.folder / "texts"

    def _keep_text(self, text: bytes) -> None:
        _write(self._texts / f"{hashlib.sha256(text).hexdigest()}.toml", text)

    def _proposal(self, name: str) -> Proposal:
        stands = self.standing(name)
        if stands.proposal is None:
            raise RecipeNotProposed(
                f"No change of {name} waits.",
                action="Propose one first.",
                recipe=name,
                revision=self.next_revision(stands) - 1,
            )
        return stands.proposal

    def _note(
        self,
        name: str,
        action: str,
        after: Mapping[str, Any],
        *,
        by: Person,
        at: datetime,
        reason: str | None = None,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        with self.store.writing() as connection:
            note(
                connection,
                at=at,
                by=by,
                action=action,
                subject=f"recipe:{name}",
                before=before,
                after=after,
                reason=reason,
            )


def _of_recipe(in_force: Recipe | None) -> Mapping[str, Any] | None:
    """What is in force while something is done, for the audit."""
    return (
        None if in_force is None else {"revision": in_force.settings.revision, "sha256": in_force.ref.sha256}
    )


def _after_all(steps: Sequence[AuditEntry], in_force: Recipe | None) -> Standing:
    return reduce(_after, steps, Standing(in_force=in_force, proposal=None, history=()))


def _after(stands: Standing, step: AuditEntry) -> Standing:
    told = step.after or {}
    match step.action:
        case "recipe.proposed":
            made = Proposal(
                revision=told["revision"],
                sha256=told["sha256"],
                base=told["base"],
                by=step.person,
                at=step.at,
                reason=step.reason,
                origin=Origin(**told["origin"]) if "origin" in told else None,
            )
            return replace(stands, proposal=made)
        case "recipe.approved" if stands.proposal is not None and told["sha256"] == stands.proposal.sha256:
            return replace(stands, proposal=replace(stands.proposal, approved_by=step.person))
        case "recipe.published":
            done = Published(revision=told["revision"], sha256=told["sha256"], by=step.person, at=step.at)
            return replace(stands, proposal=None, history=(done, *stands.history))
    return stands


def _may_be_recipe(data: bytes) -> bool:
    """Whether it says what only a recipe says, also where that is not a whole one yet: what it lacks could be brought
    in after it. A calibration says none of it; what is no TOML at all has no business under that name."""
    try:
        said = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return True
    return any(one.is_required() and key in said for key, one in RecipeSettings.model_fields.items())


def _unfit(wrong: str, name: str) -> RecipeArchiveUnfit:
    return RecipeArchiveUnfit(
        f"{name} cannot be brought in: {wrong}.",
        action="Get the file anew from the station that published it.",
        wrong=wrong,
    )


def _as_revision(text: str, revision: int) -> str:
    """Line ends as they are in files, and the revision's line, where there is one, with this number."""
    plain = text.replace("\r\n", "\n")
    return re.sub(r"(?m)^revision\s*=\s*\d+", f"revision = {revision}", plain, count=1)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(content)
    new.replace(file)
