"""The life of a model in a plant: proposed, looking on, judged by gates, approved by a second person, promoted,
watched, and taken back.

The audit is its only book: where a model stands is read from the entries about it, so nothing stands that nobody did.
What is promoted judges where a recipe says `version = "in_force"`, from the next unit on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
from scipy import stats
from sqlalchemy import Connection

from inspection.errors import InspectionError
from inspection.types import Inspection, Verdict
from models.errors import SetUnfit
from models.in_force import ModelsInForce
from models.session import Session
from models.store import ModelStore
from services.access import Right, check_right_of
from services.evaluating import Evaluated, compare
from services.station.pace import Times, forget_pace, pace_of
from services.station.shadow import forget_beside, tallied
from traceability import database
from traceability.accounts import Accounts, AuditEntry, Person, note
from traceability.store import TraceStore

PICTURES_BESIDE: Final = 200
"""So many live pictures a candidate must have looked at before it is promoted."""

SLOWER_AT_MOST: Final = 1.25
"""Times what the model in force takes, both in turn on the same pictures on the same machine (`pace_in_turn`)."""
SLOWER_FREE_MS: Final = 1.0
"""And this much more is nothing to a line; of networks of a millisecond, 1.25 times is noise."""

WATCHED: Final = 400
"""So many of the last units of each are compared once a model is promoted."""
LEAST_WATCHED: Final = 40
DRIFT_P: Final = 1e-4
"""Below this a difference between before and after is no chance: of ten thousand looks about one alarms for nothing."""

SLOWER_LIVE_AT_MOST: Final = 1.5
"""As SLOWER_AT_MOST, of pictures on the line: what they show and what else the machine does is not the same."""
LEAST_TIMED: Final = 200
"""So many times of a size of picture, of each, before anything is said about them."""

_MOST_ENTRIES: Final = 10_000

# Any number will do, as long as nothing else on the server takes the same advisory lock.
_STEP_LOCK: Final = 7_105_022_032


class NoCandidate(InspectionError):
    """Nothing was proposed that could be judged, approved or promoted. Facts: model."""

    code = "MOD-NO-CANDIDATE"


class GateClosed(InspectionError):
    """Base of what a step is missing. All: model, version (of the candidate)."""

    code = "MOD-GATE-CLOSED"


class InForceAlready(GateClosed):
    """What is in force cannot look on beside itself."""

    code = "MOD-IN-FORCE-ALREADY"


class OthersJudged(GateClosed):
    """Other versions, or other bytes, were judged than the candidate and the one in force. Facts: judged, wanted."""

    code = "MOD-OTHERS-JUDGED"


class NoGoldSet(InspectionError):
    """Nobody has locked the pictures by which candidates are judged. Facts: model."""

    code = "MOD-NO-GOLD-SET"


class GoldSetDiffers(InspectionError):
    """Other pictures or labels than those that were locked. Facts: model, found, locked."""

    code = "MOD-GOLD-SET-DIFFERS"


class NotJudged(GateClosed):
    """The candidate has not been judged on a gold set."""

    code = "MOD-NOT-JUDGED"


class NotPassed(GateClosed):
    """A gate is closed. Facts: gates."""

    code = "MOD-NOT-PASSED"


class SecondPersonNeeded(GateClosed):
    """Who proposed it may not approve it. Facts: person."""

    code = "MOD-SECOND-PERSON"


class CandidateUnseen(GateClosed):
    """Another version waits than the one that was looked at. Facts: seen."""

    code = "MOD-CANDIDATE-UNSEEN"


class InForceChanged(GateClosed):
    """Another version came into force before the one that was seen could be taken back. `version`: of the one in force.
    Facts: seen."""

    code = "MOD-IN-FORCE-CHANGED"


class NotApproved(GateClosed):
    """Nobody else has approved it."""

    code = "MOD-NOT-APPROVED"


class NotSeenEnough(GateClosed):
    """It has looked on at too few live pictures, or failed on some. Facts: seen, needed, failed."""

    code = "MOD-NOT-SEEN-ENOUGH"


class NothingBefore(InspectionError):
    """There is no earlier version to go back to. Facts: model."""

    code = "MOD-NOTHING-BEFORE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a model stands.

    in_force, before   versions: the one that judges, and the one that a taking back brings back
    candidate          the version proposed last, if it was not promoted since
    gates              each gate with whether it was passed, of the last judging of this candidate beside the version
                       that is in force; none: not judged
    judged_sha256      of the candidate's network that was judged, beside the version `judged_beside`
    approved_by        who has approved it, other than who proposed it
    gold               the set by which candidates are judged: its version (`models.datasets.version_of`)
    gold_pictures      how many pictures it has
    gold_by            who locked it
    """

    name: str
    in_force: str | None
    before: str | None = None
    candidate: str | None = None
    proposed_by: str | None = None
    gates: tuple[Mapping[str, Any], ...] = ()
    judged_sha256: str | None = None
    judged_beside: str | None = None
    approved_by: str | None = None
    gold: str | None = None
    gold_pictures: int = 0
    gold_by: str | None = None

    @property
    def has_passed(self) -> bool:
        return bool(self.gates) and all(gate["passed"] for gate in self.gates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What is different since a promotion, with the chance of seeing that by chance. `what` is "rejected", "scores",
    "latency" (ms)."""

    what: str
    before: float
    after: float
    p: float


@dataclass(frozen=True, slots=True)
class ModelLife:
    """Of the models of a plant, over its records. Who acts must have the right to: see docs/access.md."""

    store: TraceStore
    models: ModelStore
    pictures_beside: int = PICTURES_BESIDE
    _accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_accounts", Accounts(self.store))

    def steps(self, name: str) -> tuple[AuditEntry, ...]:
        """All that was done with it, oldest first."""
        return self._accounts.audit(limit=_MOST_ENTRIES, subject=f"model:{name}")[::-1]

    def promoted(self) -> tuple[str, ...]:
        """Names of the models of which a version was promoted."""
        return tuple(sorted(self._in_force.state()[0]))

    def standing(self, name: str) -> Standing:
        stands = Standing(name=name, in_force=self.models.in_force(name))
        for step in self.steps(name):
            stands = _after(stands, step)
        stands = replace(stands, in_force=self.models.in_force(name))
        # Without any step here, Lynceus itself may have brought the version that judges now.
        return stands if stands.judged_beside == stands.in_force else replace(stands, **_NOT_JUDGED)

    def note_training(
        self,
        name: str,
        what: Literal["started", "ended", "cancelled", "failed", "interrupted"],
        told: Mapping[str, Any],
        *,
        by: Person | None,
        at: datetime,
    ) -> None:
        """Of a training of that model on this station, into the audit. `by` None: the station itself says it."""
        if by is not None:
            check_right_of(by, Right.CONFIGURE)
        with self._stepping(name) as connection:
            _enter(connection, name, f"training_{what}", told, by=by, at=at)

    def propose(self, name: str, version: str, *, by: Person, at: datetime) -> Standing:
        """From now on it looks on beside the model in force. Raises what ModelStore.find and Session raise."""
        check_right_of(by, Right.CONFIGURE)
        found = self.models.find(name, version)
        # A folder may have been laid here by hand: what cannot run is refused now, not where it was to look on.
        Session(found)
        digest = found.card.sha256
        if version == self.models.in_force(name):
            raise InForceAlready(
                f"{name} {version} is in force already.",
                action="Propose another version.",
                model=name,
                version=version,
            )
        with self._stepping(name) as connection:
            _enter(connection, name, "proposed", {"version": version, "sha256": digest}, by=by, at=at)
            self._in_force.look_on(name, version)
        self._forget_counts(name)
        return self.standing(name)

    def lock_gold(self, name: str, gold: str, *, pictures: int, by: Person, at: datetime) -> Standing:
        """From now on candidates are judged by this set and no other. A candidate that was judged by the one before is
        judged again.

        gold       its version (`models.datasets.version_of`)
        pictures   how many it has
        """
        check_right_of(by, Right.APPROVE)
        with self._stepping(name) as connection:
            _enter(connection, name, "gold_locked", {"gold": gold, "pictures": pictures}, by=by, at=at)
        return self.standing(name)

    def check_gold(self, name: str, gold: str) -> None:
        """Raises NoGoldSet, and GoldSetDiffers where one picture or label is another one than was locked."""
        locked = self.standing(name).gold
        if locked is None:
            raise NoGoldSet(
                f"No gold set is locked for {name}.",
                action=f"Lock one: lynceus model lock-gold {name} --data DIR.",
                model=name,
            )
        if locked != gold:
            raise GoldSetDiffers(
                f"The gold set given is {gold}, locked for {name} is {locked}.",
                action="Fetch the set that was locked, or have the new one locked.",
                model=name,
                found=gold,
                locked=locked,
            )

    def judge(
        self,
        name: str,
        champion: Evaluated,
        challenger: Evaluated,
        *,
        took_ms: Sequence[float],
        gold: str,
        by: Person,
        at: datetime,
    ) -> Standing:
        """Both on the gold set: no kind worse, no kind lost, not slower than allowed. What is not passed blocks, and is
        kept, too.

        took_ms  what a picture took the one in force and the candidate, as `pace_in_turn`
        gold     version of the set that both were shown

        Raises as `check_gold`, OthersJudged, and SetUnfit where the set shows nothing good.
        """
        check_right_of(by, Right.CONFIGURE)
        stands = self._with_candidate(name)
        self.check_gold(name, gold)
        seen = (champion.model["version"], challenger.model["version"])
        if seen != (stands.in_force, stands.candidate):
            raise OthersJudged(
                f"Judged were {seen[0]} and {seen[1]}, not {stands.in_force} and {stands.candidate}.",
                action="Judge the candidate and the one in force on the same pictures.",
                model=name,
                version=stands.candidate,
                judged=" / ".join(seen),
                wanted=f"{stands.in_force} / {stands.candidate}",
            )
        if all(one.picture.truth for one in champion.seen):
            raise SetUnfit(
                f"No picture of the gold set {gold} is good: a candidate that alarms everywhere would pass.",
                action="Add pictures of good units, and have the set locked again.",
                place=gold,
                wrong="no picture is good",
                reason="nothing_good",
            )
        gates = [{**asdict(gate), "passed": gate.passed()} for gate in compare(champion, challenger)]
        gates.append(_kinds_kept(champion.kinds, challenger.kinds))
        in_force_ms, candidate_ms = took_ms
        gates.append(
            {
                "what": "latency",
                "in_force_ms": in_force_ms,
                "candidate_ms": candidate_ms,
                "passed": candidate_ms <= max(SLOWER_AT_MOST * in_force_ms, in_force_ms + SLOWER_FREE_MS),
            }
        )
        told = {
            "version": stands.candidate,
            "sha256": challenger.model["sha256"],
            "in_force": {"version": stands.in_force, "sha256": champion.model["sha256"]},
            "gold": gold,
            "gates": gates,
        }
        step = "passed" if all(gate["passed"] for gate in gates) else "blocked"
        with self._stepping(name) as connection:
            _enter(connection, name, step, told, by=by, at=at)
        return self.standing(name)

    def approve(self, name: str, *, by: Person, at: datetime, seen: str | None = None) -> Standing:
        """By another person than who proposed it, once it has passed its gates. Raises GateClosed.

        seen  the version that was looked at, or that the command line named; None: the one that waits
        """
        check_right_of(by, Right.APPROVE)
        stands = self._with_candidate(name)
        _check_seen(stands, seen)
        _check_passed(stands)
        if by.name == stands.proposed_by:
            raise SecondPersonNeeded(
                f"{by.name} has proposed {name} {stands.candidate}: a second person approves.",
                action="Ask somebody else who may approve.",
                model=name,
                version=stands.candidate,
                person=by.name,
            )
        with self._stepping(name) as connection:
            _enter(connection, name, "approved", {"version": stands.candidate}, by=by, at=at)
        return self.standing(name)

    def promote(self, name: str, *, by: Person, at: datetime) -> Standing:
        """It judges from the next unit on. Raises the GateClosed of what is missing first."""
        check_right_of(by, Right.CONFIGURE)
        asked = self._with_candidate(name)
        _check_approved(asked)
        # Read before others have to wait.
        digest = self.models.find(name, asked.candidate).card.sha256
        with self._stepping(name) as connection:
            stands = self._with_candidate(name)
            assert stands.candidate is not None
            _check_seen(stands, asked.candidate)
            _check_approved(stands)
            _check_judged(stands, digest)
            beside = self._seen_beside(stands)
            after = {"version": stands.candidate, "before": stands.in_force, "beside": beside}
            before = {"version": stands.in_force}
            _enter(connection, name, "promoted", after, by=by, at=at, before=before)
            self._in_force.look_on(name, None)
            self._in_force.promote(name, stands.candidate)
        self._forget_counts(name)
        return self.standing(name)

    def take_back(
        self, name: str, *, by: Person | None, at: datetime, reason: str, seen: str | None = None
    ) -> Standing:
        """The version before judges again, from the next unit on. `by` None: the station itself.

        seen  the version that is found wanting; None: the one that is in force

        Raises NothingBefore, and InForceChanged where another version is in force by now.
        """
        if by is not None:
            check_right_of(by, Right.CONFIGURE)
        asked = self.standing(name)
        seen = seen or asked.in_force
        _check_in_force(asked, seen)
        # Read before others have to wait.
        self.models.find(name, _before(asked))
        with self._stepping(name) as connection:
            # Asked while somebody else's step was half done, the version that judges by now may stand before itself.
            stands = self.standing(name)
            _check_in_force(stands, seen)
            brought_back = _before(stands)
            after = {"version": brought_back, "before": seen}
            _enter(
                connection, name, "taken_back", after, by=by, at=at, before={"version": seen}, reason=reason
            )
            self._in_force.look_on(name, None if stands.candidate == brought_back else stands.candidate)
            self._in_force.promote(name, brought_back)
        self._forget_counts(name)
        return self.standing(name)

    def has_seen_enough(self, beside: Mapping[str, Any]) -> bool:
        """Whether `beside` is enough to be promoted."""
        return beside["seen"] >= self.pictures_beside and not beside["failed"]

    def beside(self, name: str) -> dict[str, Any]:
        """What the candidate said on live pictures beside the model in force."""
        stands = self._with_candidate(name)
        assert stands.candidate is not None
        return tallied(self._in_force.folder, name, stands.candidate)

    def watch(self, name: str, *, at: datetime) -> tuple[Drift, ...]:
        """Take the promoted model back where it refuses more than the one before did, takes longer, or does otherwise
        than it did at first. That it refuses less is what it may have been promoted for."""
        stands = self.standing(name)
        if stands.before is None or stands.in_force is None:
            return ()
        units = self.store.latest(limit=4 * WATCHED, simulated=False)
        before, after = (
            [one for one in units if any((ref.name, ref.version) == (name, version) for ref in one.models)]
            for version in (stands.before, stands.in_force)
        )
        half = min(len(after) // 2, WATCHED)
        found = (
            drifted(after[len(after) - half :], after[:half])
            or refuses_more(before[:WATCHED], after[:WATCHED])
            or takes_longer(
                *(pace_of(self._in_force.folder, name, one) for one in (stands.before, stands.in_force))
            )
        )
        if found:
            told = ", ".join(
                f"{one.what} {one.before:.3g} → {one.after:.3g} (p {one.p:.1e})" for one in found
            )
            try:
                self.take_back(name, by=None, at=at, reason=told, seen=stands.in_force)
            except InForceChanged:
                # Whoever promoted another one while the records were read has ended what was found.
                return ()
        return found

    @property
    def _in_force(self) -> ModelsInForce:
        if self.models.plant is None:
            raise ValueError("a store without a plant's folder has nothing in force")
        return ModelsInForce(self.models.plant)

    def _with_candidate(self, name: str) -> Standing:
        stands = self.standing(name)
        if stands.candidate is None:
            raise NoCandidate(
                f"No version of {name} has been proposed.", action="Propose one first.", model=name
            )
        return stands

    def _seen_beside(self, stands: Standing) -> dict[str, Any]:
        """As `beside`. Raises NotSeenEnough."""
        beside = self.beside(stands.name)
        if not self.has_seen_enough(beside):
            raise NotSeenEnough(
                f"{stands.name} {stands.candidate} has looked on at {beside['seen']} of {self.pictures_beside} "
                f"pictures and failed on {beside['failed']}.",
                action="Wait while the lane runs; where it failed, propose another version.",
                model=stands.name,
                version=stands.candidate,
                seen=beside["seen"],
                needed=self.pictures_beside,
                failed=beside["failed"],
            )
        return beside

    @contextmanager
    def _stepping(self, name: str) -> Iterator[Connection]:
        """The transaction of a step. Nobody else takes one meanwhile: a standing read here still holds when it ends.

        Where it cannot be kept, what judged before judges on, and what looked on looks on: neither entry nor step
        without the other.
        """
        judged = looked_on = None
        try:
            with self.store.writing() as connection:
                database.lock(connection, _STEP_LOCK)
                judged, looked_on = self.models.in_force(name), self._in_force.beside(name)
                yield connection
        except BaseException:
            if judged is not None and self.models.in_force(name) != judged:
                self._in_force.promote(name, judged)
            if judged is not None and self._in_force.beside(name) != looked_on:
                self._in_force.look_on(name, looked_on)
            raise

    def _forget_counts(self, name: str) -> None:
        """What was counted beside versions that are no candidates any more, and timed of those that are neither in
        force nor what a taking back brings back. What a promotion was decided by is in the audit."""
        stands = self.standing(name)
        forget_beside(self._in_force.folder, name, besides={stands.candidate})
        forget_pace(self._in_force.folder, name, besides={stands.in_force, stands.before})


def drifted(before: Sequence[Inspection], after: Sequence[Inspection]) -> tuple[Drift, ...]:
    """What differs between two runs of units; nothing while either has fewer than LEAST_WATCHED.

    rejected  share of units not accepted: Fisher's exact test
    scores    the surest score of each unit, 0 where nothing was found: two-sample Kolmogorov and Smirnov
    """
    if min(len(before), len(after)) < LEAST_WATCHED:
        return ()
    surest = [
        [max((defect.score for defect in one.defects), default=0.0) for one in units]
        for units in (before, after)
    ]
    scores = Drift(
        what="scores",
        before=float(np.mean(surest[0])),
        after=float(np.mean(surest[1])),
        p=float(stats.ks_2samp(*surest).pvalue),
    )
    return tuple(one for one in (_rejected(before, after, "two-sided"), scores) if one.p < DRIFT_P)


def _surest(unit: Inspection) -> float:
    return max((defect.score for defect in unit.defects), default=0.0)


def refuses_more(before: Sequence[Inspection], after: Sequence[Inspection]) -> tuple[Drift, ...]:
    """As `drifted`, of the share of units not accepted, and only where it has risen."""
    if min(len(before), len(after)) < LEAST_WATCHED:
        return ()
    risen = _rejected(before, after, "less")
    return (risen,) if risen.p < DRIFT_P else ()


def takes_longer(before: Times, after: Times) -> tuple[Drift, ...]:
    """Where pictures of one size take more than SLOWER_LIVE_AT_MOST times as long as they did (the tenth percentile,
    which other work on the machine disturbs least), and Mann and Whitney's test says that it is no chance."""
    found = []
    for size in sorted(set(before) & set(after)):
        if min(len(before[size]), len(after[size])) < LEAST_TIMED:
            continue
        took = [float(np.percentile(times[size], 10)) for times in (before, after)]
        p = float(stats.mannwhitneyu(after[size], before[size], alternative="greater").pvalue)
        if took[1] > SLOWER_LIVE_AT_MOST * took[0] and p < DRIFT_P:
            found.append(Drift(what="latency", before=took[0], after=took[1], p=p))
    return tuple(found)


def _rejected(
    before: Sequence[Inspection], after: Sequence[Inspection], alternative: Literal["two-sided", "less"]
) -> Drift:
    bad = [[one.verdict is not Verdict.ACCEPT for one in units] for units in (before, after)]
    table = [[sum(some), len(some) - sum(some)] for some in bad]
    return Drift(
        what="rejected",
        before=float(np.mean(bad[0])),
        after=float(np.mean(bad[1])),
        p=float(stats.fisher_exact(table, alternative=alternative).pvalue),
    )


_NOT_JUDGED: Final[Mapping[str, Any]] = {
    "gates": (),
    "judged_sha256": None,
    "judged_beside": None,
    "approved_by": None,
}


def _before(stands: Standing) -> str:
    """What a taking back brings back. Raises NothingBefore."""
    if stands.before is None:
        raise NothingBefore(
            f"There is no version of {stands.name} before {stands.in_force}.",
            action="Propose another version.",
            model=stands.name,
        )
    return stands.before


def _after(stands: Standing, step: AuditEntry) -> Standing:
    told = step.after or {}
    match step.action:
        case "model.proposed":
            return replace(stands, candidate=told["version"], proposed_by=step.person, **_NOT_JUDGED)
        case "model.passed" | "model.blocked" if told["version"] == stands.candidate:
            # Earlier versions did not say beside what, which is beside nothing that is in force.
            return replace(
                stands,
                gates=tuple(told["gates"]),
                judged_sha256=told.get("sha256"),
                judged_beside=told.get("in_force", {}).get("version"),
                approved_by=None,
            )
        case "model.approved" if told["version"] == stands.candidate:
            return replace(stands, approved_by=step.person)
        case "model.gold_locked":
            return replace(
                stands,
                gold=told["gold"],
                gold_pictures=told["pictures"],
                gold_by=step.person,
                **_NOT_JUDGED,
            )
        case "model.promoted":
            return replace(
                stands,
                in_force=told["version"],
                before=told["before"],
                candidate=None,
                proposed_by=None,
                **_NOT_JUDGED,
            )
        case "model.taken_back":
            # What was judged beside the one that was taken back says nothing beside the one that judges again.
            candidate = None if stands.candidate == told["version"] else stands.candidate
            return replace(
                stands,
                in_force=told["version"],
                before=None,
                candidate=candidate,
                proposed_by=None if candidate is None else stands.proposed_by,
                **_NOT_JUDGED,
            )
    return stands


def _check_passed(stands: Standing) -> None:
    """Raises NotJudged, NotPassed."""
    what = f"{stands.name} {stands.candidate}"
    if not stands.gates:
        raise NotJudged(
            f"{what} has not been judged on a gold set.",
            action=f"Judge it: lynceus model judge {stands.name} --data DIR.",
            model=stands.name,
            version=stands.candidate,
        )
    if not stands.has_passed:
        closed = ", ".join(_named(gate) for gate in stands.gates if not gate["passed"])
        raise NotPassed(
            f"{what} has not passed: {closed}.",
            action="Propose another version.",
            model=stands.name,
            version=stands.candidate,
            gates=closed,
        )


def _named(gate: Mapping[str, Any]) -> str:
    lost = gate.get("lost")
    return f"{gate['what']} ({', '.join(lost)})" if lost else str(gate["what"])


def _check_approved(stands: Standing) -> None:
    """Raises NotJudged, NotPassed, NotApproved."""
    _check_passed(stands)
    if stands.approved_by is None:
        raise NotApproved(
            f"{stands.name} {stands.candidate} has not been approved by a second person.",
            action="Ask somebody else who may approve.",
            model=stands.name,
            version=stands.candidate,
        )


def _check_judged(stands: Standing, digest: str) -> None:
    """Raises OthersJudged where the network is another one by now than the gates have seen."""
    if digest != stands.judged_sha256:
        judged, wanted = f"{stands.candidate} ({stands.judged_sha256})", f"{stands.candidate} ({digest})"
        raise OthersJudged(
            f"Judged was {judged}, not {wanted}.",
            action="Judge the candidate and the one in force on the same pictures.",
            model=stands.name,
            version=stands.candidate,
            judged=judged,
            wanted=wanted,
        )


def _check_seen(stands: Standing, seen: str | None) -> None:
    """Raises CandidateUnseen."""
    if seen is not None and seen != stands.candidate:
        raise CandidateUnseen(
            f"Of {stands.name}, {stands.candidate} waits by now; looked at was {seen}.",
            action="Look at it first.",
            model=stands.name,
            version=stands.candidate,
            seen=seen,
        )


def _check_in_force(stands: Standing, seen: str | None) -> None:
    """Raises InForceChanged."""
    if stands.in_force != seen:
        raise InForceChanged(
            f"Of {stands.name}, {stands.in_force} is in force by now, not {seen}.",
            action="Look at it first.",
            model=stands.name,
            version=stands.in_force,
            seen=seen,
        )


def _kinds_kept(in_force: Sequence[str], candidate: Sequence[str]) -> dict[str, Any]:
    """The gate on what both look for, counted as those of `compare` are: the gold set need not show a kind that the
    candidate does not know any more, and every defect of it would be accepted. Nothing about that is chance."""
    lost = sorted(set(in_force) - set(candidate))
    return {
        "what": "kinds",
        "counted": len({*in_force, *candidate}),
        "both": len(set(in_force) & set(candidate)),
        "only_champion": len(lost),
        "only_challenger": len(set(candidate) - set(in_force)),
        "p": 0.0 if lost else 1.0,
        "lost": lost,
        "passed": not lost,
    }


def _enter(
    connection: Connection,
    name: str,
    step: str,
    after: Mapping[str, Any],
    *,
    by: Person | None,
    at: datetime,
    before: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    note(
        connection,
        at=at,
        by=by,
        action=f"model.{step}",
        subject=f"model:{name}",
        before=before,
        after=after,
        reason=reason,
    )
