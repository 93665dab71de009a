"""The ledger on both engines: what was recorded is proven, and what was changed afterwards is found and named."""

from __future__ import annotations

import io
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from sqlalchemy import delete, insert, select, update
from uuid_utils.compat import uuid7

from inspection.identity import IdentifierCode
from inspection.types import Verdict
from services.api.certificates import pdf_of, verifier_text
from tests.builders import a_defect, a_picture, a_unit, an_inspection
from tests.drawn_coil import COIL_B, LINKS, SEGMENTS, UNITS
from traceability import tables
from traceability.certificate import as_json, certify
from traceability.codes import CodeRegister
from traceability.errors import (
    HeadsUnreadable,
    LedgerForked,
    LedgerKeyUnreadable,
    LedgerUnwritable,
    UnitUnknown,
)
from traceability.genealogy.cuts import Link, LinkKind
from traceability.genealogy.recording import record, void
from traceability.identifiers import parse
from traceability.images import ImageStore
from traceability.merkle import BLOCK, Sealer, Tree, begin, read_heads, root_of, size_of
from traceability.recorded import ON_RECORD
from traceability.statements import statement
from traceability.store import TraceStore
from traceability.verification import Verified, verify
from traceability.verifier import (
    NotProven,
    certificate_in,
    leaf_hash,
    node_hash,
    prove_certificate,
    prove_consistency,
    prove_inclusion,
    record_leaf,
)


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    return Sealer(tmp_path / "ledger")


def sealed(store: TraceStore, sealer: Sealer):
    with store.reading() as connection:
        return sealer.seal(connection)


def found(store: TraceStore, sealer: Sealer | None = None, **more) -> list[str]:
    heads = () if sealer is None else sealer.heads()
    return [one.what for one in verify(store, heads=heads, **more).findings]


def changed(store: TraceStore, *statements) -> None:
    """As somebody with the database's password would."""
    with store.writing() as connection:
        for one in statements:
            connection.execute(one)


# ------------------------------------------------------------------ the tree


def plain_root(leaves: list[bytes], algorithm: str) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(plain_root(leaves[:k], algorithm), plain_root(leaves[k:], algorithm), algorithm)


@given(st.integers(1, 70), st.sampled_from(["sha256", "sm3"]))
def test_the_root_is_that_of_the_rfc(size, algorithm):
    leaves = [leaf_hash(bytes([number]), algorithm) for number in range(size)]
    assert root_of(leaves, algorithm) == plain_root(leaves, algorithm)


def test_sm3_is_that_of_the_standard():
    """GB/T 32905-2016, appendix A.1: the digest of "abc"."""
    from traceability.verifier import digest

    expected = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert digest("sm3", b"abc").hex() == expected
    with pytest.raises(ValueError, match="md5"):
        digest("md5", b"abc")


@pytest.mark.parametrize("algorithm", ["sha256", "sm3"])
def test_every_record_is_proven_and_every_head_is_a_beginning_of_later_ones(store: TraceStore, algorithm):
    with store.writing() as connection:
        begin(connection, algorithm, ON_RECORD)
    inspections = [an_inspection(unit=a_unit(f"86.1/{number}")) for number in range(2 * BLOCK + 37)]
    for start in range(0, len(inspections), 100):
        store.record(inspections[start : start + 100])
    with store.reading() as connection:
        size = size_of(connection)
        assert size == len(inspections)
        tree = Tree(connection, size)
        leaves = [record_leaf("inspection", statement(one), algorithm) for one in inspections]
        assert sorted(tree.leaf(index) for index in range(size)) == sorted(leaves)
        in_order = [tree.leaf(index) for index in range(size)]
        assert tree.root() == plain_root(in_order, algorithm)
        for index in (0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, size - 1):
            prove_inclusion(
                index=index,
                size=size,
                leaf=in_order[index],
                proof=tree.inclusion(index),
                root=tree.root(),
                algorithm=algorithm,
            )
        for earlier in (1, 2, 100, BLOCK, BLOCK + 1, 2 * BLOCK, size - 1, size):
            assert Tree(connection, earlier).root() == plain_root(in_order[:earlier], algorithm)
            prove_consistency(
                size1=earlier,
                root1=plain_root(in_order[:earlier], algorithm),
                size2=size,
                root2=tree.root(),
                proof=tree.consistency(earlier),
                algorithm=algorithm,
            )


@given(st.data())
def test_proofs_of_any_tree_hold_and_hold_for_nothing_else(data):
    """Against the tree in memory, by the RFC's own definition of a path."""
    size = data.draw(st.integers(1, 40))
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))

    def path(at: int, some: list[bytes]) -> list[bytes]:
        if len(some) == 1:
            return []
        k = 1
        while k * 2 < len(some):
            k *= 2
        if at < k:
            return [*path(at, some[:k]), plain_root(some[k:], "sha256")]
        return [*path(at - k, some[k:]), plain_root(some[:k], "sha256")]

    proof, root = path(index, leaves), plain_root(leaves, "sha256")
    prove_inclusion(index=index, size=size, leaf=leaves[index], proof=proof, root=root)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        with pytest.raises(NotProven):
            prove_inclusion(index=other, size=size, leaf=leaves[index], proof=proof, root=root)


# ------------------------------------------------------------------ what is in it


def test_all_that_is_recorded_is_in_the_ledger_and_as_it_was_kept(store: TraceStore, sealer: Sealer):
    store.record([an_inspection(defects=(a_defect(),), verdict=Verdict.REJECT)])
    record(store, units=UNITS, links=LINKS)
    record(store, units=[replace(UNITS[1], length_mm=9.0, id=uuid7())])
    void(store, link=LINKS[0].id, id=uuid7(), reason="wrong", by="Li Wei")
    sealed(store, sealer)
    done = verify(store, heads=sealer.heads())
    assert done.findings == ()
    assert (done.records, done.heads) == (1 + len(UNITS) + len(LINKS) + 1 + 1, 1)


def test_saying_the_same_again_adds_no_leaf(store: TraceStore):
    seen = an_inspection()
    for _ in range(3):
        store.record([seen])
        record(store, units=UNITS, links=LINKS)
    assert verify(store).records == 1 + len(UNITS) + len(LINKS)


def test_a_contradicting_inspection_is_kept_beside_the_first_one_and_flagged(store: TraceStore):
    seen = an_inspection(verdict=Verdict.REJECT)
    store.record([seen])
    other = replace(seen, verdict=Verdict.ACCEPT)
    for _ in range(2):
        assert store.record([other, seen]) == 0
    assert store.inspection(seen.id) == seen
    with store.reading() as connection:
        (said,) = connection.execute(select(tables.contradiction)).mappings()
    assert (said["record_id"], said["said"]["verdict"]) == (seen.id, "ACCEPT")
    assert verify(store).findings == ()


def test_a_contradiction_within_one_batch_is_kept_too(store: TraceStore):
    seen = an_inspection(verdict=Verdict.REJECT)
    store.record([replace(seen, verdict=Verdict.ACCEPT), seen])
    with store.reading() as connection:
        assert len(connection.execute(select(tables.contradiction)).all()) == 1


def test_a_ledger_begins_with_what_was_on_record_before_it(store: TraceStore):
    store.record([an_inspection(unit=a_unit(f"86.1/{number}")) for number in range(BLOCK + 3)])
    changed(store, delete(tables.ledger_leaf), delete(tables.ledger_block), delete(tables.ledger))
    store.record([an_inspection()])
    done = verify(store)
    assert (done.records, done.findings) == (BLOCK + 4, ())


def test_a_name_that_was_erased_changes_nothing_in_the_ledger(store: TraceStore, sealer: Sealer):
    from traceability import people

    record(store, links=LINKS)
    void(store, link=LINKS[0].id, id=uuid7(), reason="wrong", by="Li Wei")
    sealed(store, sealer)
    assert people.erase(store, "Li Wei")
    assert found(store, sealer) == []
    assert "Li Wei" not in as_json(certify(store, sealer, LINKS[0].child)).decode()


# ------------------------------------------------------------------ what was done to it


@pytest.fixture
def kept(store: TraceStore, sealer: Sealer) -> TraceStore:
    """Two blocks of inspections, the drawn coil, and a head over all of it."""
    store.record(
        [
            an_inspection(unit=a_unit(f"86.1/{number}"), verdict=Verdict.REJECT, defects=(a_defect(),))
            for number in range(2 * BLOCK)
        ]
    )
    record(store, units=UNITS, links=LINKS)
    sealed(store, sealer)
    return store


INSPECTION, DEFECT, LEAF = tables.inspection, tables.defect, tables.ledger_leaf


def one_inspection(store: TraceStore):
    return store.latest(limit=1)[0]


def test_a_tampered_row_is_found_and_named(kept: TraceStore, sealer: Sealer):
    seen = one_inspection(kept)
    changed(kept, update(INSPECTION).where(INSPECTION.c.id == seen.id).values(verdict=Verdict.ACCEPT))
    (finding,) = verify(kept, heads=sealer.heads()).findings
    assert finding.what == "record_altered"
    assert finding.facts["id"] == str(seen.id)
    assert finding.facts["unit"] == str(seen.unit)


def test_a_tampered_child_row_is_found(kept: TraceStore, sealer: Sealer):
    seen = one_inspection(kept)
    changed(kept, delete(DEFECT).where(DEFECT.c.inspection_id == seen.id))
    assert found(kept, sealer) == ["record_altered"]


def test_a_cut_that_was_moved_is_found(kept: TraceStore, sealer: Sealer):
    changed(kept, update(tables.link_cut).where(tables.link_cut.c.sigma_y_mm > 0).values(parent_y1_mm=1.0))
    assert found(kept, sealer) == ["record_altered"] * len(SEGMENTS)


def test_a_link_hung_on_another_unit_is_found(kept: TraceStore, sealer: Sealer):
    link = tables.link
    with kept.reading() as connection:
        other = kept.unit_id(connection, a_unit("86.1/1"))
    changed(kept, update(link).where(link.c.id == LINKS[-1].id).values(parent_id=other))
    assert found(kept, sealer) == ["unit_changed"]


def test_a_truncated_table_is_found(kept: TraceStore, sealer: Sealer):
    changed(kept, delete(tables.link_cut), delete(tables.link))
    assert found(kept, sealer) == ["record_gone"] * len(LINKS)


def test_a_row_that_nobody_of_ours_put_there_is_found(kept: TraceStore, sealer: Sealer):
    with kept.writing() as connection:
        row = dict(connection.execute(select(INSPECTION).limit(1)).mappings().one())
        connection.execute(insert(INSPECTION), {**row, "id": uuid7()})
    assert found(kept, sealer) == ["record_unknown"]


def test_a_database_that_was_rolled_back_is_found(kept: TraceStore, sealer: Sealer):
    """The newest records and their leaves are gone, as after an old copy was put in its place."""
    gone = [one.id for one in LINKS]
    changed(
        kept,
        delete(tables.link_cut),
        delete(tables.link),
        delete(LEAF).where(LEAF.c.record_id.in_(gone)),
    )
    done = verify(kept, heads=sealer.heads())
    assert [one.what for one in done.findings] == ["rolled_back"]
    assert done.findings[0].facts["size"] - done.findings[0].facts["there"] == len(LINKS)
    assert found(kept) == []  # without a head from elsewhere nobody can tell
    with pytest.raises(LedgerForked):
        sealed(kept, sealer)


def test_history_that_was_rewritten_with_its_leaves_and_blocks_is_found(kept: TraceStore, sealer: Sealer):
    seen = one_inspection(kept)
    changed(kept, update(INSPECTION).where(INSPECTION.c.id == seen.id).values(verdict=Verdict.ACCEPT))
    leaf = record_leaf("inspection", statement(kept.inspection(seen.id)), "sha256").hex()
    changed(kept, update(LEAF).where(LEAF.c.record_id == seen.id).values(hash=leaf))
    assert found(kept, sealer) == ["block_altered"]
    with kept.writing() as connection:
        connection.execute(delete(tables.ledger_block))
        for number in range(size_of(connection) // BLOCK):
            leaves = [Tree(connection, (number + 1) * BLOCK).leaf(number * BLOCK + at) for at in range(BLOCK)]
            row = {"number": number, "hash": root_of(leaves, "sha256").hex()}
            connection.execute(tables.ledger_block.insert(), row)
    assert found(kept, sealer) == ["rewritten"]
    with pytest.raises(LedgerForked):
        sealed(kept, sealer)


def test_leaves_taken_from_the_middle_are_found(kept: TraceStore, sealer: Sealer):
    changed(kept, delete(LEAF).where(LEAF.c.position.between(10, 12)))
    done = verify(kept, heads=sealer.heads())
    assert [one.what for one in done.findings] == ["leaves_missing"] + ["record_unknown"] * 3
    assert done.findings[0].facts == {"first": 10, "last": 12, "count": 3}


def test_another_database_in_its_place_is_found(store: TraceStore, sealer: Sealer):
    store.record([an_inspection()])
    head = sealed(store, sealer)
    changed(store, update(tables.ledger).values(origin="somewhere-else"))
    assert [one.what for one in verify(store, heads=[head]).findings] == ["other_ledger"]
    with pytest.raises(LedgerForked):
        sealed(store, sealer)


def test_a_swapped_picture_and_a_missing_one_are_found_and_named(store: TraceStore, tmp_path: Path):
    images = ImageStore(tmp_path / "pictures")
    names = [images.put(f"picture {number}".encode()) for number in range(3)]
    seen = an_inspection(pictures=tuple(a_picture(sha256=name) for name in names))
    store.record([seen])
    assert verify(store, images=images).findings == ()
    first, second = (tmp_path / "pictures" / name[:2] / name for name in names[:2])
    first.write_bytes(b"another picture")
    second.unlink()
    done = verify(store, images=images)
    facts = {one.what: one.facts for one in done.findings}
    assert facts.keys() == {"picture_altered", "picture_missing"}
    assert facts["picture_altered"]["sha256"] == names[0]
    assert facts["picture_altered"]["inspection"] == str(seen.id)
    assert done.pictures == 3


# ------------------------------------------------------------------ heads and keys


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """The system takes no byte of a file behind so many, as a full disk does: what was asked for is written in part."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_nothing_is_signed_twice_and_nothing_at_all_before_anything_is_recorded(
    store: TraceStore, sealer: Sealer
):
    assert sealed(store, sealer) is None
    store.record([an_inspection()])
    first = sealed(store, sealer)
    assert sealed(store, sealer) == first
    store.record([an_inspection()])
    second = sealed(store, sealer)
    assert (first["size"], second["size"]) == (1, 2)
    assert sealer.heads() == [first, second]


def test_the_key_is_the_owners_alone_and_stays_the_same(tmp_path: Path):
    first = Sealer(tmp_path / "ledger").public_key
    assert Sealer(tmp_path / "ledger").public_key == first
    file = tmp_path / "ledger" / "key.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("no key")
    with pytest.raises(LedgerKeyUnreadable):
        Sealer(tmp_path / "ledger")


def test_a_disk_that_is_full_at_the_first_start_asks_for_room_and_for_no_copy_of_a_key(
    tmp_path: Path, monkeypatch
):
    opened = os.open

    def full(path, flags, mode=0o777):
        """A file that takes its name and nothing else."""
        os.close(opened(path, flags, mode))
        return opened("/dev/full", os.O_WRONLY)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        with pytest.raises(LedgerUnwritable) as refusal:
            Sealer(tmp_path / "ledger")
    assert refusal.value.facts == {
        "folder": str(tmp_path / "ledger"),
        "reason": "No space left on device",
    }
    # With room for it again, it starts.
    assert Sealer(tmp_path / "ledger").heads() == []


def test_a_ledgers_folder_that_cannot_be_made_says_so(tmp_path: Path):
    (tmp_path / "in the way").write_text("a file")
    with pytest.raises(LedgerUnwritable):
        Sealer(tmp_path / "in the way" / "ledger")


def test_a_head_that_was_edited_is_no_head(store: TraceStore, sealer: Sealer, tmp_path: Path):
    store.record([an_inspection()])
    head = sealed(store, sealer)
    file = tmp_path / "ledger" / "heads.jsonl"
    file.write_text(json.dumps({**head, "size": 7}) + "\n")
    with pytest.raises(HeadsUnreadable):
        read_heads(file)
    # Nor with its end of line taken away: that alone does not make it one that was broken off.
    file.write_text(json.dumps({**head, "size": 7}))
    with pytest.raises(HeadsUnreadable):
        read_heads(file)
    assert read_heads(tmp_path / "none.jsonl") == []


def test_a_head_that_a_power_cut_broke_off_was_never_kept_and_the_next_is_signed_in_its_place(
    store: TraceStore, sealer: Sealer, tmp_path: Path
):
    store.record([an_inspection()])
    first = sealed(store, sealer)
    file = tmp_path / "ledger" / "heads.jsonl"
    with file.open("ab") as heads:
        heads.write(file.read_bytes()[:100])
    assert sealer.heads() == [first]
    store.record([an_inspection()])
    second = sealed(store, sealer)
    assert sealer.heads() == read_heads(file) == [first, second]


def test_a_head_that_was_copied_without_its_end_of_line_is_one_and_the_next_has_a_line_of_its_own(
    store: TraceStore, sealer: Sealer, tmp_path: Path
):
    store.record([an_inspection()])
    first = sealed(store, sealer)
    file = tmp_path / "ledger" / "heads.jsonl"
    file.write_bytes(file.read_bytes().rstrip())
    assert read_heads(file) == [first]
    store.record([an_inspection()])
    second = sealed(store, sealer)
    assert read_heads(file) == [first, second]


def test_a_disk_that_is_full_in_the_middle_of_a_head_keeps_no_later_one_from_being_signed(
    store: TraceStore, sealer: Sealer, tmp_path: Path
):
    store.record([an_inspection()])
    first = sealed(store, sealer)
    file = tmp_path / "ledger" / "heads.jsonl"
    store.record([an_inspection()])
    with no_file_longer_than(file.stat().st_size + 100), pytest.raises(HeadsUnreadable):
        sealed(store, sealer)
    assert read_heads(file) == [first]
    second = sealed(store, sealer)
    assert sealer.heads() == [first, second]


# ------------------------------------------------------------------ certificates and the verifier


def ran(tmp_path: Path, certificate: bytes, *arguments: str, name: str = "certificate.json"):
    """The verifier as a customer runs it: a copy of the one file, away from everything of ours."""
    alone = tmp_path / "alone"
    alone.mkdir(exist_ok=True)
    (alone / "verifier.py").write_text(verifier_text())
    (alone / name).write_bytes(certificate)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-I", "verifier.py", name, *arguments],
        cwd=alone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def certified(store: TraceStore, sealer: Sealer):
    record(store, units=UNITS, links=LINKS)
    store.record([an_inspection(unit=SEGMENTS[2], verdict=Verdict.REVIEW, pictures=(a_picture(),))])
    store.record([an_inspection(unit=COIL_B)])
    return certify(store, sealer, SEGMENTS[2])


def test_a_certificate_proves_what_was_seen_and_what_the_unit_was_made_from(certified, sealer: Sealer):
    told = prove_certificate(certified, sealer.public_key)
    assert any("REVIEW" in line for line in told)
    kinds = [entry["kind"] for entry in certified["records"]]
    assert kinds.count("link") == 7  # one weld cut, two welds, two slits, two melts
    assert kinds.count("inspection") == 1


def test_the_verifier_alone_proves_a_certificate_and_its_pdf(certified, sealer: Sealer, tmp_path: Path):
    key = sealer.public_key.hex()
    done = ran(tmp_path, as_json(certified), "--key", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "PROVEN"
    for language in ("en", "zh"):
        pdf = pdf_of(certified, language, "Plant 1")
        assert pdf.startswith(b"%PDF-")
        assert certificate_in(pdf) == certificate_in(as_json(certified))
        assert ran(tmp_path, pdf, "--key", key, name="certificate.pdf").returncode == 0


def test_the_verifier_says_whose_key_it_was_when_none_was_given(certified, sealer: Sealer, tmp_path: Path):
    done = ran(tmp_path, as_json(certified))
    assert done.returncode == 0
    assert f"if this is the maker's key: {sealer.public_key.hex()}" in done.stdout


def a_changed(certificate: dict, *path: object, to: object) -> dict:
    changed_ = json.loads(as_json(certificate))
    inner = changed_
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return changed_


def test_a_certificate_changed_anywhere_is_not_proven(certified, sealer: Sealer, tmp_path: Path):
    at = next(number for number, entry in enumerate(certified["records"]) if entry["kind"] == "inspection")
    for path, value in (
        (("records", at, "record", "verdict"), "ACCEPT"),
        (("records", at, "record", "defects"), [{}]),
        (("records", at, "position"), 0),
        (("records", at, "proof"), []),
        (("records", at, "kind"), "link"),
        (("unit", "codes"), [{"scheme": "plain", "canon": "ANOTHER"}]),
        (("head", "root"), "00" * 32),
        (("head", "size"), 2),
        (("head", "signature"), "00" * 64),
        (("head", "key"), "00" * 32),
        (("records",), []),
        (("records",), None),
        (("format",), "lynceus-certificate/9"),
    ):
        with pytest.raises(NotProven):
            prove_certificate(a_changed(certified, *path, to=value), sealer.public_key)
    forged = as_json(a_changed(certified, "records", at, "record", "verdict", to="ACCEPT"))
    done = ran(tmp_path, forged, "--key", sealer.public_key.hex())
    assert done.returncode == 1
    assert "NOT PROVEN" in done.stderr


def with_code(certificate: dict, code: IdentifierCode) -> dict:
    added = {"scheme": code.scheme, "canon": code.canon}
    return a_changed(certificate, "unit", "codes", to=[*certificate["unit"]["codes"], added])


def test_a_code_added_to_a_certificate_is_not_proven_along_with_the_units_own(
    certified, sealer: Sealer, tmp_path: Path
):
    done = ran(
        tmp_path, as_json(with_code(certified, parse("86.100.12/BAD"))), "--key", sealer.public_key.hex()
    )
    lines = done.stdout.splitlines()
    assert f"unit    {SEGMENTS[2]}" in lines
    assert "code    86.100.12/BAD: not proven, no record here carries it" in lines


def test_what_a_unit_was_made_from_is_not_proven_to_be_that_unit(certified, sealer: Sealer):
    parents = {
        entry["record"]["parent"]["canon"] for entry in certified["records"] if entry["kind"] == "link"
    }
    for parent in parents:
        told = prove_certificate(with_code(certified, parse(parent)), sealer.public_key)
        assert f"code    {parent}: not proven, no record here carries it" in told


def test_an_added_code_writes_no_line_of_its_own(certified, sealer: Sealer):
    spoofing = IdentifierCode(scheme="plain", raw="", canon="X\nunit    86.100.12/BAD")
    told = prove_certificate(with_code(certified, spoofing), sealer.public_key)
    assert r"code    X\nunit    86.100.12/BAD: not proven, no record here carries it" in told


def test_a_genuine_certificate_says_which_codes_of_the_unit_its_records_carry(
    store: TraceStore, sealer: Sealer
):
    store.record([an_inspection(unit=COIL_B)])
    for code in ("LASER-1", "MES-1"):
        CodeRegister(store).bind(parse(code), COIL_B)
    store.record([an_inspection(unit=parse("LASER-1"))])
    told = prove_certificate(certify(store, sealer, COIL_B), sealer.public_key)
    assert told[1:4] == [
        f"unit    {COIL_B}, LASER-1",
        "        that these codes are of one unit is the maker's word, not proven here",
        "code    MES-1: not proven, no record here carries it",
    ]


def test_every_proven_record_is_told_with_its_unit(certified, sealer: Sealer):
    told = [line for line in prove_certificate(certified, sealer.public_key) if line.startswith("record")]
    assert len(told) == len(certified["records"])
    for line, entry in zip(told, certified["records"], strict=True):
        named = entry["record"].get("unit") or entry["record"]["child"]
        assert f" of {named['canon']}" in line


def a_slit(parent: IdentifierCode, child: IdentifierCode) -> Link:
    return Link(id=uuid7(), parent=parent, child=child, kind=LinkKind.SLIT)


def test_a_parent_that_was_taken_back_is_not_certified_as_what_the_unit_was_made_from(
    store: TraceStore, sealer: Sealer
):
    strip = a_unit("STRIP")
    store.record([an_inspection(unit=strip)])
    wrong, right = (a_slit(a_unit(code), strip) for code in ("WRONG-COIL", "RIGHT-COIL"))
    record(store, links=[wrong])
    correction = uuid7()
    void(store, link=wrong.id, id=correction, reason="typed wrong")
    record(store, links=[right])
    certificate = certify(store, sealer, strip)
    for language in ("en", "zh"):
        pages = PdfReader(io.BytesIO(pdf_of(certificate, language, "Plant 1"))).pages
        said = "\n".join(page.extract_text() for page in pages)
        assert "RIGHT-COIL" in said
        assert "WRONG-COIL" not in said
    lines = prove_certificate(certificate, sealer.public_key)
    told = {line.split()[2]: line for line in lines if line.startswith("record")}
    assert told[str(wrong.id)].endswith(f": proven; VOIDED by correction {correction} (typed wrong)")
    assert told[str(correction)].endswith(f": proven; voids link {wrong.id}")
    assert told[str(right.id)].endswith(": proven")


def test_a_unit_that_was_linked_the_wrong_way_round_first_is_still_proven_to_be_the_unit(
    store: TraceStore, sealer: Sealer
):
    coil, strip = a_unit("COIL"), a_unit("STRIP")
    wrong = a_slit(strip, coil)
    record(store, links=[wrong])
    void(store, link=wrong.id, id=uuid7(), reason="the other way round")
    record(store, links=[a_slit(coil, strip)])
    assert "unit    STRIP" in prove_certificate(certify(store, sealer, strip), sealer.public_key)
    assert "unit    COIL" in prove_certificate(certify(store, sealer, coil), sealer.public_key)


def test_another_makers_signature_is_not_proven(certified, tmp_path: Path):
    other = Sealer(tmp_path / "other")
    with pytest.raises(NotProven, match="key"):
        prove_certificate(certified, other.public_key)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"%PDF-1.4 nothing", b'{"format": NaN}', b"[" * 100_000]
)
def test_what_is_no_certificate_is_said_to_be_none(content: bytes, tmp_path: Path):
    done = ran(tmp_path, content)
    assert done.returncode == 1
    assert "NOT PROVEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_verifier_tells_a_picture_of_the_unit_from_another(
    store: TraceStore, sealer: Sealer, tmp_path: Path
):
    images = ImageStore(tmp_path / "pictures")
    name = images.put(b"the picture")
    store.record([an_inspection(pictures=(a_picture(sha256=name),))])
    certificate = as_json(certify(store, sealer, a_unit()))
    (tmp_path / "good.jpg").write_bytes(b"the picture")
    (tmp_path / "other.jpg").write_bytes(b"another")
    good, other = (str(tmp_path / file) for file in ("good.jpg", "other.jpg"))
    assert ran(tmp_path, certificate, "--picture", good).returncode == 0
    assert ran(tmp_path, certificate, "--picture", other).returncode == 1


def test_nothing_is_certified_that_is_not_as_the_ledger_has_it(kept: TraceStore, sealer: Sealer):
    changed(kept, update(INSPECTION).values(grade="A"))
    with pytest.raises(LedgerForked):
        certify(kept, sealer, a_unit("86.1/1"))
    with pytest.raises(UnitUnknown):
        certify(kept, sealer, a_unit("never-seen"))


def test_the_verifier_needs_nothing_of_ours():
    lines = [line for line in verifier_text().splitlines() if line.lstrip().startswith(("import ", "from "))]
    modules = {line.split()[1].split(".")[0] for line in lines}
    assert modules - {"cryptography"} <= set(sys.stdlib_module_names)


def test_comparing_nothing_finds_nothing(store: TraceStore):
    assert verify(store) == Verified(
        origin=None, algorithm=None, leaves=0, records=0, pictures=0, given_up=(), heads=0, findings=()
    )


def test_the_ledger_is_wiped_with_nothing_left_to_show_for_it_and_found(kept: TraceStore, sealer: Sealer):
    changed(kept, delete(LEAF), delete(tables.ledger_block), delete(tables.ledger))
    assert "other_ledger" in found(kept, sealer)
