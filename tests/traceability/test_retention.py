from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from uuid_utils.compat import uuid7

from inspection.types import Inspection, Verdict
from tests.builders import NOON, a_picture, a_unit, an_inspection
from traceability import holds, tables
from traceability.accounts import Accounts, Role
from traceability.errors import DiskFull
from traceability.images import ImageStore
from traceability.retention import PictureClass, Rule, Rules, forecast, given_up, kept, prune
from traceability.reviews import Decision, Reviews
from traceability.shelf import Folder
from traceability.store import TraceStore
from traceability.verification import verify

A_YEAR_ON = NOON + timedelta(days=365)
UNTIL_ROOM = Rules(max_bytes=0)

Record = Callable[..., tuple[Inspection, str]]


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "pictures")


def shown(images: ImageStore, number: int, verdict: Verdict, *, days: float, size: int) -> Inspection:
    """A unit with a picture of its own."""
    return an_inspection(
        unit=a_unit(f"86.1/{number}"),
        verdict=verdict,
        pictures=(a_picture(sha256=images.put(f"{number}".encode().ljust(size))),),
        finished_at=NOON + timedelta(days=days),
    )


@pytest.fixture
def record(store: TraceStore, images: ImageStore) -> Record:
    """Record a unit of its own with a picture of its own, finished so many days after noon."""
    made = iter(range(1000))

    def record_(
        verdict: Verdict = Verdict.ACCEPT, *, days: float = 0, size: int = 10
    ) -> tuple[Inspection, str]:
        seen = shown(images, next(made), verdict, days=days, size=size)
        store.record([seen])
        return seen, seen.pictures[0].sha256

    return record_


def classes(store: TraceStore, images: ImageStore) -> dict[str, PictureClass]:
    return {one.sha256: one.kind for one in kept(store, images)}


def decide(store: TraceStore, seen: Inspection, decision: Decision) -> None:
    person = Accounts(store).add(
        name=f"person {uuid4()}", title="", role=Role.OPERATOR, password_hash=None, by=None, at=NOON
    )
    Reviews(store).decide(seen.id, decision, by=person, at=NOON)


def test_of_accepted_units_the_oldest_go_when_there_is_no_room_and_of_withheld_ones_none(
    store: TraceStore, images: ImageStore, record: Record
):
    _, newer = record(days=2)
    _, oldest = record(days=1)
    _, newest = record(days=3)
    withheld = {record(verdict)[1] for verdict in Verdict if verdict is not Verdict.ACCEPT}
    (done,) = prune(store, images, Rules(max_bytes=45), at=A_YEAR_ON)
    assert (done.rule, set(done.pictures)) == (Rule.ROOM, {oldest, newer})
    assert images.sizes().keys() == {newest, *withheld}
    # It may still be too much: then nothing else may go.
    (done,) = prune(store, images, UNTIL_ROOM, at=A_YEAR_ON)
    assert done.pictures == (newest,)
    assert prune(store, images, UNTIL_ROOM, at=A_YEAR_ON) == ()
    assert images.sizes().keys() == withheld


def test_a_picture_that_a_withheld_unit_has_too_is_kept(
    store: TraceStore, images: ImageStore, record: Record
):
    seen, sha256 = record()
    store.record([an_inspection(unit=a_unit("86.1/other"), verdict=Verdict.REJECT, pictures=seen.pictures)])
    assert prune(store, images, UNTIL_ROOM, at=A_YEAR_ON) == ()
    assert images.read(sha256)


def test_a_unit_that_another_inspection_refused_keeps_the_pictures_of_the_one_that_accepted_it(
    store: TraceStore, images: ImageStore, record: Record
):
    accepted, sha256 = record()
    refused = an_inspection(unit=accepted.unit, verdict=Verdict.REJECT)
    store.record([refused])
    assert classes(store, images) == {sha256: PictureClass.NEEDED}
    decide(store, refused, Decision.REJECT)
    assert classes(store, images) == {sha256: PictureClass.WITHHELD}
    assert prune(store, images, UNTIL_ROOM, at=A_YEAR_ON) == ()


def test_pictures_that_no_record_names_are_never_given_up(store: TraceStore, images: ImageStore):
    recipe = images.put(b"the text of a recipe")
    assert classes(store, images) == {recipe: PictureClass.UNNAMED}
    assert prune(store, images, UNTIL_ROOM, at=A_YEAR_ON) == ()


def test_a_picture_of_a_unit_in_hand_that_looks_like_one_on_record_stays(
    store: TraceStore, images: ImageStore, record: Record
):
    _, sha256 = record()
    assert prune(store, images, UNTIL_ROOM, at=A_YEAR_ON, in_hand={sha256}) == ()
    assert images.read(sha256)


def test_each_class_goes_by_its_own_age(store: TraceStore, images: ImageStore, record: Record):
    _, accepted = record(days=0)
    _, young = record(days=40)
    refused, sha256 = record(Verdict.REJECT)
    decide(store, refused, Decision.REJECT)
    rules = Rules(max_bytes=10**9, accepted_days=30, withheld_days=90)
    (done,) = prune(store, images, rules, at=NOON + timedelta(days=60))
    assert (done.rule, done.pictures) == (Rule.ACCEPTED_DAYS, (accepted,))
    done_by_rule = {one.rule: one.pictures for one in prune(store, images, rules, at=A_YEAR_ON)}
    assert done_by_rule == {Rule.ACCEPTED_DAYS: (young,), Rule.WITHHELD_DAYS: (sha256,)}


OLD = Rules(max_bytes=0, accepted_days=1, withheld_days=1)


def test_what_waits_for_review_is_needed_until_a_decision_stands(
    store: TraceStore, images: ImageStore, record: Record
):
    seen, sha256 = record(Verdict.REVIEW)
    assert classes(store, images) == {sha256: PictureClass.NEEDED}
    decide(store, seen, Decision.SECOND_LOOK)
    assert prune(store, images, OLD, at=A_YEAR_ON) == ()
    decide(store, seen, Decision.ACCEPT)
    assert classes(store, images) == {sha256: PictureClass.WITHHELD}
    assert prune(store, images, OLD, at=A_YEAR_ON)[0].rule is Rule.WITHHELD_DAYS


def test_a_unit_on_hold_keeps_its_pictures_until_it_is_released(
    store: TraceStore, images: ImageStore, record: Record
):
    seen, sha256 = record()
    holds.place(store, [seen.unit], ids=[uuid7()], reason="dent", at=NOON, by=None)
    assert classes(store, images) == {sha256: PictureClass.NEEDED}
    assert prune(store, images, OLD, at=A_YEAR_ON) == ()
    holds.release(store, seen.unit, id=uuid7(), decision="use_as_is", reason="none", at=NOON, by=None)
    assert prune(store, images, OLD, at=A_YEAR_ON)[0].pictures == (sha256,)


def test_suspects_of_a_containment_keep_their_pictures_until_decided_and_the_escape_for_ever(
    store: TraceStore, images: ImageStore, record: Record
):
    (escape, its_picture), (suspect, other) = record(), record(days=0.5)
    until = NOON + timedelta(days=1)
    found = holds.contain(store, escape.id, id=uuid7(), reason="burr", at=until, by=None)
    assert {one.unit.canon for one in found.suspects} == {"86.1/0", "86.1/1"}
    assert prune(store, images, OLD, at=A_YEAR_ON) == ()
    for unit in (escape.unit, suspect.unit):
        holds.place(store, [unit], ids=[uuid7()], reason="burr", at=until, by=None)
        holds.release(store, unit, id=uuid7(), decision="scrap", reason="burr", at=until, by=None)
    (done,) = prune(store, images, OLD, at=A_YEAR_ON)
    assert done.pictures == (other,)
    assert images.read(its_picture)


class LookedAt(ImageStore):
    """Pictures of which somebody does something once, when the first of them is read."""

    def __init__(self, folder: Path, act: Callable[[], object]) -> None:
        super().__init__(folder)
        self._acts = [act]

    def read(self, sha256: str) -> bytes:
        for act in self._acts:
            self._acts = []
            act()
        return super().read(sha256)


class WrittenByOthers:
    """A database in which somebody else writes first, each time."""

    def __init__(self, store: TraceStore, first: Callable[[], object]) -> None:
        self._store, self._first = store, first

    def reading(self):
        return self._store.reading()

    def writing(self):
        self._first()
        return self._store.writing()


def test_a_unit_that_is_put_on_hold_while_the_rules_are_applied_keeps_its_pictures(
    store: TraceStore, images: ImageStore, record: Record
):
    (held, stays), (_, goes) = record(), record()

    def hold() -> None:
        holds.place(store, [held.unit], ids=[uuid7()], reason="complaint", at=NOON, by=None)

    (done,) = prune(WrittenByOthers(store, hold), images, OLD, at=A_YEAR_ON)
    assert done.pictures == (goes,)
    assert images.sizes().keys() == {stays}
    assert prune(store, images, OLD, at=A_YEAR_ON) == ()
    assert verify(store, images=images).findings == ()


def test_nothing_is_noted_where_all_that_was_due_is_needed_by_now(
    store: TraceStore, images: ImageStore, record: Record
):
    seen, sha256 = record()

    def hold() -> None:
        holds.place(store, [seen.unit], ids=[uuid7()], reason="complaint", at=NOON, by=None)

    assert prune(WrittenByOthers(store, hold), images, OLD, at=A_YEAR_ON) == ()
    assert images.read(sha256)


def test_a_suspect_that_was_delivered_after_the_containment_was_opened_keeps_its_pictures(
    store: TraceStore, images: ImageStore, record: Record
):
    escape, its_picture = record()
    until = NOON + timedelta(days=1)
    holds.contain(store, escape.id, id=uuid7(), reason="burr", at=until, by=None)
    _, late = record(days=0.5)
    _, another = record(days=1.5)
    (done,) = prune(store, images, OLD, at=A_YEAR_ON)
    assert done.pictures == (another,)
    assert images.sizes().keys() == {its_picture, late}


# ------------------------------------------------------------------ what the ledger says of it


def test_what_a_rule_gives_up_while_the_ledger_is_verified_is_not_called_missing(
    store: TraceStore, images: ImageStore, record: Record, tmp_path: Path
):
    for day in range(3):
        record(days=day)
    _, by_hand = record(Verdict.REJECT)
    images.remove(by_hand)

    def give_up() -> None:
        prune(store, images, OLD, at=A_YEAR_ON)

    found = verify(store, images=LookedAt(tmp_path / "pictures", give_up))
    assert [(one.what, one.facts["sha256"]) for one in found.findings] == [("picture_missing", by_hand)]
    assert sum(one.pictures for one in found.given_up) == 3


def test_what_was_given_up_is_said_with_rule_and_date_and_what_is_missing_otherwise_is_found(
    store: TraceStore, images: ImageStore, record: Record
):
    _, by_rule = record()
    _, by_hand = record(Verdict.REJECT)
    prune(store, images, UNTIL_ROOM, at=A_YEAR_ON)
    images.remove(by_hand)
    found = verify(store, images=images)
    assert [(one.what, one.facts["sha256"]) for one in found.findings] == [("picture_missing", by_hand)]
    assert [(one.rule, one.day, one.pictures) for one in found.given_up] == [(Rule.ROOM, A_YEAR_ON.date(), 1)]
    pruning = given_up(store, by_rule)
    assert pruning is not None
    assert (pruning.rule, pruning.at) == (Rule.ROOM, A_YEAR_ON)
    assert given_up(store, by_hand) is None


def test_who_deletes_a_picture_and_writes_the_rule_himself_is_found(
    store: TraceStore, images: ImageStore, record: Record
):
    _, sha256 = record(Verdict.REJECT)
    forged = uuid7()
    images.remove(sha256)
    with store.writing() as connection:
        connection.execute(insert(tables.pruning), {"id": forged, "at": A_YEAR_ON, "rule": "room"})
        connection.execute(insert(tables.pruned_picture), {"pruning_id": forged, "sha256": sha256})
    found = verify(store, images=images)
    assert [(one.what, one.facts["kind"]) for one in found.findings] == [("record_unknown", "pruning")]


def test_who_adds_a_picture_to_what_a_rule_gave_up_is_found(
    store: TraceStore, images: ImageStore, record: Record
):
    record()
    _, evidence = record(Verdict.REJECT)
    (done,) = prune(store, images, UNTIL_ROOM, at=A_YEAR_ON)
    images.remove(evidence)
    with store.writing() as connection:
        connection.execute(insert(tables.pruned_picture), {"pruning_id": done.id, "sha256": evidence})
    assert [one.what for one in verify(store, images=images).findings] == ["record_altered"]


def test_a_picture_that_was_given_up_and_came_again_is_missed_when_it_goes_another_way(
    store: TraceStore, images: ImageStore, record: Record
):
    seen, sha256 = record()
    prune(store, images, UNTIL_ROOM, at=A_YEAR_ON)
    images.put(b"0".ljust(10))
    again = an_inspection(
        unit=a_unit("86.1/again"), pictures=seen.pictures, finished_at=A_YEAR_ON + timedelta(days=1)
    )
    store.record([again])
    images.remove(sha256)
    (finding,) = verify(store, images=images).findings
    assert (finding.what, finding.facts["inspection"]) == ("picture_missing", str(again.id))


class FullDisk:
    """A database on a full disk, where nothing can be noted before so many pictures went."""

    def __init__(self, store: TraceStore, images: ImageStore, most: int) -> None:
        self._store, self._images, self._most = store, images, most

    def reading(self):
        return self._store.reading()

    def writing(self):
        if len(self._images.sizes()) > self._most:
            raise DiskFull("full", action="")
        return self._store.writing()


def test_on_a_full_disk_a_few_pictures_go_first_and_are_noted_all_the_same(
    store: TraceStore, images: ImageStore, record: Record
):
    gone = [record(days=number)[1] for number in range(30)]
    full = FullDisk(store, images, 15)
    (done,) = prune(full, images, UNTIL_ROOM, at=A_YEAR_ON)
    assert set(done.pictures) == set(gone)
    assert verify(store, images=images).findings == ()


# ------------------------------------------------------------------ forecast


class SmallDisk(Folder):
    """So many bytes are free, whatever the disk of the tests has."""

    def __init__(self, folder: Path, free: int) -> None:
        super().__init__(folder)
        self._free = free

    def free_bytes(self) -> int:
        return self._free


def test_it_is_full_when_pictures_that_may_not_go_have_filled_the_room(
    store: TraceStore, images: ImageStore, record: Record
):
    for day in range(8):
        record(days=day, size=3000)
        record(Verdict.REJECT, days=day, size=1000)
    found = forecast(store, images, Rules(max_bytes=72_000), at=NOON + timedelta(days=7))
    withheld = found.classes[PictureClass.NEEDED]
    assert (withheld.pictures, withheld.size, withheld.oldest) == (8, 8000, NOON)
    # 8 pictures within 7 days: 32 000 bytes there, 32 000 / 7 more a day.
    assert found.short_in == pytest.approx(40_000 / (32_000 / 7))
    assert found.full_in == pytest.approx(64_000 / (8_000 / 7))


def test_a_small_disk_is_full_before_what_is_allowed_is_there(
    store: TraceStore, tmp_path: Path, record: Record
):
    record(Verdict.REJECT, size=1000)
    small = ImageStore(SmallDisk(tmp_path / "pictures", 500))
    found = forecast(store, small, Rules(max_bytes=10**9), at=NOON)
    assert (found.room, found.full_in) == (1500, pytest.approx(0.5))


def test_without_withheld_units_it_is_never_full_and_only_runs_short(
    store: TraceStore, images: ImageStore, record: Record
):
    record(size=2000)
    found = forecast(store, images, Rules(max_bytes=1000), at=NOON)
    assert (found.short_in, found.full_in) == (0.0, None)


def test_where_withheld_ones_go_by_their_age_as_many_go_as_come(
    store: TraceStore, images: ImageStore, record: Record
):
    seen, _ = record(Verdict.REJECT, size=1000)
    decide(store, seen, Decision.REJECT)
    at = NOON + timedelta(days=1)
    assert forecast(store, images, Rules(max_bytes=50_000, withheld_days=30), at=at).full_in is None
    assert forecast(store, images, Rules(max_bytes=20_000, withheld_days=30), at=at).full_in == 19.0


def test_an_empty_station_is_not_full(store: TraceStore, images: ImageStore):
    found = forecast(store, images, Rules(max_bytes=1000), at=NOON)
    assert (found.size, found.short_in, found.full_in) == (0, None, None)


@given(
    units=st.lists(
        st.tuples(st.sampled_from(list(Verdict)), st.integers(0, 30), st.integers(2, 50)), max_size=12
    ),
    max_bytes=st.integers(0, 400),
    held=st.sets(st.integers(0, 11)),
)
def test_whatever_is_pruned_no_needed_picture_goes_and_verify_misses_none(
    tmp_path_factory: pytest.TempPathFactory,
    units: list[tuple[Verdict, int, int]],
    max_bytes: int,
    held: Collection[int],
):
    folder = tmp_path_factory.mktemp("law")
    images = ImageStore(folder / "pictures")
    with TraceStore.open(f"sqlite:///{folder / 'lynceus.db'}") as store:
        for number, (verdict, days, size) in enumerate(units):
            seen = shown(images, number, verdict, days=days, size=size)
            store.record([seen])
            if number in held:
                holds.place(store, [seen.unit], ids=[uuid7()], reason="x", at=NOON, by=None)
        before = classes(store, images)
        rules = Rules(max_bytes=max_bytes, accepted_days=20, withheld_days=25)
        prune(store, images, rules, at=NOON + timedelta(days=30))
        after = images.sizes()
        needed = {sha256 for sha256, kind in before.items() if kind is PictureClass.NEEDED}
        assert needed <= after.keys()
        assert (
            sum(after.values()) <= max_bytes or PictureClass.ACCEPTED not in classes(store, images).values()
        )
        assert verify(store, images=images).findings == ()
    shutil.rmtree(folder)
