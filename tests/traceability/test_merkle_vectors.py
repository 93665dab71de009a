"""The published proofs of transparency-dev/merkle, good and bad: LYNCEUS_VECTORS, default ../shared/vectors."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.where import vectors
from traceability.verifier import NotProven, prove_consistency, prove_inclusion

CASES = sorted(vectors("merkle", module=True).rglob("*.json"))


def decoded(value: str | None) -> bytes:
    return base64.b64decode(value or "")


@pytest.mark.parametrize("file", CASES, ids=lambda file: "/".join(file.parts[-3:]))
def test_a_published_proof_is_taken_or_refused_as_it_should_be(file: Path):
    case = json.loads(file.read_text(encoding="utf-8"))
    proof = [decoded(step) for step in case["proof"] or ()]

    def prove() -> None:
        if "leafIdx" in case:
            prove_inclusion(
                index=case["leafIdx"],
                size=case["treeSize"],
                leaf=decoded(case["leafHash"]),
                proof=proof,
                root=decoded(case["root"]),
            )
        else:
            prove_consistency(
                size1=case["size1"],
                root1=decoded(case["root1"]),
                size2=case["size2"],
                root2=decoded(case["root2"]),
                proof=proof,
            )

    if case["wantErr"]:
        with pytest.raises(NotProven):
            prove()
    else:
        prove()


def test_there_are_cases():
    assert CASES
