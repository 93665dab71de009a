"""Certificates, and what an auditor needs of the ledger: heads, proofs between them, the verifier itself."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from inspection.identity import IdentifierCode
from inspection.types import Verdict
from services.api.serving import Here, Language
from services.problems import RequestInvalid, problems
from services.text import say
from traceability.certificate import as_json, as_pdf, certify
from traceability.identifiers import parse
from traceability.merkle import Tree, size_of

router = APIRouter(tags=["proofs"])

COLOURS: Final = {
    Verdict.ACCEPT.name: "#1a7f37",
    Verdict.REVIEW.name: "#b35900",
    Verdict.NOT_INSPECTED.name: "#7a5c00",
    Verdict.REJECT.name: "#c3241c",
}
"""As on the pages."""


class HeadAnswer(BaseModel):
    """A signed head of the ledger. Its signature is over the canonical JSON (RFC 8785) of the other fields."""

    origin: str
    algorithm: str
    size: int
    root: str
    time: str
    key: str
    signature: str


class NewestHeadAnswer(BaseModel):
    """`key`: the public key that signs heads, hex. `head` is null before anything is on record."""

    key: str
    head: HeadAnswer | None


class ConsistencyAnswer(BaseModel):
    """That the tree of `size1` leaves is a beginning of that of `size2`: RFC 9162, 2.1.4. Hashes are hex."""

    algorithm: str
    size1: int
    root1: str
    size2: int
    root2: str
    proof: list[str]


@router.get(
    "/proofs/head", responses=problems(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
)
def newest_head(here: Here) -> NewestHeadAnswer:
    """The newest head; one is signed where something came since the last."""
    with here.store.reading() as connection:
        head = here.sealer.seal(connection)
    return NewestHeadAnswer(
        key=here.sealer.public_key.hex(), head=None if head is None else HeadAnswer.model_validate(head)
    )


@router.get("/proofs/consistency", responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY))
def consistency(
    here: Here, size1: Annotated[int, Query(ge=1)], size2: Annotated[int, Query(ge=1)]
) -> ConsistencyAnswer:
    """The proof between two heads, by their sizes."""
    with here.store.reading() as connection:
        there = size_of(connection)
        if not size1 <= size2 <= there:
            mistakes = f"size1 {size1} ≤ size2 {size2} ≤ {there}"
            raise RequestInvalid(
                f"The request is not valid: {mistakes}", action="Correct the parameters.", mistakes=mistakes
            )
        first, second = Tree(connection, size1), Tree(connection, size2)
        return ConsistencyAnswer(
            algorithm=second.algorithm,
            size1=size1,
            root1=first.root().hex(),
            size2=size2,
            root2=second.root().hex(),
            proof=[step.hex() for step in second.consistency(size1)],
        )


@router.get(
    "/proofs/verifier",
    response_class=Response,
    responses={200: {"content": {"text/x-python": {"schema": {"type": "string"}}}}},
)
def verifier() -> Response:
    """The program that checks certificates: one file, for whoever gets one."""
    return Response(
        verifier_text(),
        media_type="text/x-python",
        headers={"Content-Disposition": 'attachment; filename="verifier.py"'},
    )


@router.get(
    "/certificates/{code:path}",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "application/pdf": {"schema": {"type": "string", "format": "binary"}},
            }
        },
        **problems(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
def certificate(
    here: Here, language: Language, code: str, format: Literal["json", "pdf"] = "json"
) -> Response:
    """A unit's records, each with the proof that the ledger holds it; the PDF has the JSON attached."""
    unit = parse(code)
    certified = certify(here.store, here.sealer, unit)
    if format == "json":
        content, media_type = as_json(certified), "application/json"
    else:
        content, media_type = pdf_of(certified, language, here.station), "application/pdf"
    disposition = f"attachment; filename*=UTF-8''{quote(file_name(unit, format), safe='')}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})


def file_name(unit: IdentifierCode, ending: str) -> str:
    plain = "".join(letter if letter.isalnum() or letter in ".-_" else "_" for letter in str(unit))
    return f"{plain}.certificate.{ending}"


def pdf_of(certified: dict[str, Any], language: str, made_by: str) -> bytes:
    return as_pdf(certified, certificate_words(language), colours=COLOURS, made_by=made_by)


def certificate_words(language: str) -> Callable[..., str]:
    def word(key: str, **facts: object) -> str:
        # Words that every surface shares are not said again for the certificate.
        for shared, area in (("verdict.", "verdict."), ("link.", "link_kind.")):
            if key.startswith(shared):
                return say(area + key.removeprefix(shared), language, **facts)
        return say(f"certificate.{key}", language, **facts)

    return word


def verifier_text() -> str:
    return files("traceability").joinpath("verifier.py").read_text(encoding="utf-8")
