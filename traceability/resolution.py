"""Resolver: from a code of any scheme to what is known about its unit, as links. One resolver, several faces.

Handle's face is JSON values, GS1's is a set of links (RFC 9264) to be redirected to, ours is both in one answer. Codes
that belong to other nodes are asked for there, kept, and answered from what was kept when the network is away.
Source: Handle.Net HTTP JSON REST API; GS1-Conformant Resolver Standard 1.2.0 as far as its test suite states it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from sqlalchemy import Connection, RowMapping, delete, select, update
from uuid_utils.compat import uuid7

from inspection.identity import IdentifierCode
from traceability import tables
from traceability.codes import CodeRecord, CodeRegister
from traceability.epcis.events import epc_of
from traceability.errors import LinkRefused, NodeUnreachable, UnitUnknown
from traceability.identifiers import RESOLVER_PATH, examine, gs1, parse, vaa
from traceability.identifiers.gs1.elements import Element, bracketed
from traceability.store import TraceStore

logger = logging.getLogger(__name__)

VOC = "https://ref.gs1.org/voc/"
DEFAULT_LINK = f"{VOC}defaultLink"
TRACEABILITY = f"{VOC}traceability"
EPCIS = f"{VOC}epcis"

TTL_S = 86_400
"""How long others may keep our answers, as Handle servers say it."""

_KEPT_FOR = timedelta(seconds=TTL_S)
_NOT_FOUND_KEPT_FOR = timedelta(minutes=10)
"""A code that is unknown today is issued tomorrow."""

_PRIVATE_TYPES = frozenset({"HS_ADMIN", "HS_SECKEY", "HS_PUBKEY", "HS_VLIST"})
"""Types of values that are a server's own business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One document about a unit or a class of units.

    relation    its kind, an address: `https://ref.gs1.org/voc/certificationInfo`
    media_type  None where nobody said
    languages   of the document; empty: any
    context     which of several, for whom it matters: a market, say
    """

    relation: str
    href: str
    title: str
    media_type: str | None = None
    languages: tuple[str, ...] = ()
    context: str | None = None
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The links of a code, or of a wider one that it is part of: the trade item of a serial number."""

    code: IdentifierCode
    anchor: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a code leads to.

    record  the unit's codes; None where only links are registered for it, as for a class of units
    levels  the narrowest first
    """

    code: IdentifierCode
    record: CodeRecord | None
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the asker would rather have, of several that fit. Languages and media types: the dearest first."""

    languages: Sequence[str] = ()
    media_types: Sequence[str] = ()
    context: str | None = None


class Node(Protocol):
    """Another resolver. Raises NodeUnreachable."""

    @property
    def name(self) -> str: ...

    def is_for(self, code: IdentifierCode) -> bool:
        """Whether it answers for codes like this."""

    def ask(self, code: IdentifierCode) -> dict[str, Any] | None:
        """Handle's JSON answer; None where the node does not know the code."""


class Resolver:
    """Resolves codes over the records. Methods raise what TraceStore's do, and what they name."""

    def __init__(self, store: TraceStore, *, nodes: Sequence[Node] = ()) -> None:
        self._store = store
        self._codes = CodeRegister(store)
        self._nodes = tuple(nodes)

    def resolve(
        self, code: IdentifierCode, *, address: str, wider: Sequence[IdentifierCode] = ()
    ) -> Resolved:
        """All that is known under a code. Raises UnitUnknown.

        address  of this server, for its own links
        wider    codes it is part of, the narrowest first; of GS1 they are found by themselves
        """
        record = self._known(code)
        known = [*wider, *_wider(code)]
        levels = []
        with self._store.reading() as connection:
            for number, one in enumerate(dict.fromkeys((code, *known))):
                links = _registered(connection, one)
                if number == 0 and record is not None:
                    links = (
                        _own_links(code, address, has_default=any(link.is_default for link in links)) + links
                    )
                if links:
                    levels.append(Level(code=one, anchor=anchor(one, address), links=links))
        if not levels:
            raise UnitUnknown(
                f"Nothing is recorded under {code}.",
                action="Check the code, also its capitals, or search for a part of it.",
                unit=str(code),
            )
        return Resolved(code=code, record=record, levels=tuple(levels))

    def _known(self, code: IdentifierCode) -> CodeRecord | None:
        """The unit's codes. A VAA code may be on record in its Handle form."""
        form = vaa.handle_of(str(code)) if code.scheme == vaa.SCHEME else None
        for one in (code, *(() if form is None else (parse(form),))):
            try:
                return self._codes.of(one)
            except UnitUnknown:
                pass
        return None

    # ------------------------------------------------------------------ links

    def register(self, code: IdentifierCode, link: Link) -> None:
        """Answer this link for a code from now on. A new default takes the old one's place. Raises LinkRefused."""
        _check(link)
        with self._store.writing() as connection:
            table = tables.code_link.c
            same = (table.scheme == code.scheme, table.canon == code.canon, table.voided_at.is_(None))
            if link.is_default:
                connection.execute(
                    update(tables.code_link).where(*same, table.is_default).values(is_default=False)
                )
            for language in link.languages or (None,):
                connection.execute(
                    tables.code_link.insert().values(
                        id=uuid7(),
                        scheme=code.scheme,
                        canon=code.canon,
                        relation=link.relation,
                        href=link.href,
                        title=link.title,
                        language=language,
                        media_type=link.media_type,
                        context=link.context,
                        is_default=link.is_default,
                        registered_at=datetime.now(UTC),
                    )
                )

    def void(self, code: IdentifierCode, href: str) -> int:
        """Answer a link no more; how many there were."""
        table = tables.code_link.c
        with self._store.writing() as connection:
            done = connection.execute(
                update(tables.code_link)
                .where(
                    table.scheme == code.scheme,
                    table.canon == code.canon,
                    table.href == href,
                    table.voided_at.is_(None),
                )
                .values(voided_at=datetime.now(UTC))
            )
            return done.rowcount

    # ------------------------------------------------------------------ elsewhere

    def elsewhere(
        self, code: IdentifierCode, *, now: datetime | None = None, anew: bool = False
    ) -> dict[str, Any]:
        """What another node says, as Handle's JSON answer; `stale` is true in it where only an old answer is left.

        anew  ask the node although an answer is kept

        Raises UnitUnknown, and NodeUnreachable where the node is away and nothing is kept.
        """
        now = datetime.now(UTC) if now is None else now
        node = next((one for one in self._nodes if one.is_for(code)), None)
        if node is None:
            raise _unknown(code)
        kept = self._kept(code)
        if kept is not None and kept["fresh_until"] > now and not anew:
            return _answer(code, kept["body"], stale=False)
        try:
            body = node.ask(code)
        except NodeUnreachable:
            if kept is None:
                raise
            logger.warning("%s is away; %s is answered from what was kept", node.name, code)
            return _answer(code, kept["body"], stale=True)
        self._keep(code, node.name, body, now)
        return _answer(code, body, stale=False)

    def _kept(self, code: IdentifierCode) -> RowMapping | None:
        table = tables.code_elsewhere.c
        row = select(tables.code_elsewhere).where(table.scheme == code.scheme, table.canon == code.canon)
        with self._store.reading() as connection:
            return connection.execute(row).mappings().first()

    def _keep(self, code: IdentifierCode, node: str, body: dict[str, Any] | None, now: datetime) -> None:
        table = tables.code_elsewhere.c
        kept_for = _NOT_FOUND_KEPT_FOR if body is None else _ttl(body)
        with self._store.writing() as connection:
            connection.execute(
                delete(tables.code_elsewhere).where(table.scheme == code.scheme, table.canon == code.canon)
            )
            connection.execute(
                tables.code_elsewhere.insert().values(
                    scheme=code.scheme,
                    canon=code.canon,
                    node=node,
                    body=body,
                    fetched_at=now,
                    fresh_until=now + kept_for,
                )
            )


# ------------------------------------------------------------------ choosing a link


def choose(resolved: Resolved, *, relation: str | None, wanted: Wanted) -> Link | None:
    """The link that a request is led to: the default, or the best of a kind, of the narrowest level that has one.

    None where there is no link of the kind asked for.
    """
    for level in resolved.levels:
        fitting = [
            link
            for link in level.links
            if (
                link.is_default if relation is None or relation == DEFAULT_LINK else link.relation == relation
            )
        ]
        if fitting:
            return min(fitting, key=lambda link: _distance(link, wanted))
    return None


def _distance(link: Link, wanted: Wanted) -> tuple[int, int, int]:
    """How far a link is from what is wanted; language counts before media type, that before context."""
    languages = [language.split("-")[0].lower() for language in wanted.languages]
    spoken = [languages.index(one) for one in _short(link.languages) if one in languages]
    language = min(spoken, default=len(languages) + (1 if link.languages else 0))
    media = (
        wanted.media_types.index(link.media_type)
        if link.media_type in wanted.media_types
        else len(wanted.media_types)
    )
    context = 0 if wanted.context == link.context else 1 if link.context is None else 2
    return language, media, context


def _short(languages: Sequence[str]) -> list[str]:
    return [language.split("-")[0].lower() for language in languages]


# ------------------------------------------------------------------ faces


def linkset(resolved: Resolved) -> dict[str, Any]:
    """RFC 9264. A default is also told by the kind it is of, and has no attributes but its title."""
    return {"linkset": [_context(level) for level in resolved.levels]}


def _context(level: Level) -> dict[str, Any]:
    context: dict[str, Any] = {"anchor": level.anchor}
    for link in level.links:
        context.setdefault(link.relation, []).append(_target(link))
        if link.is_default and DEFAULT_LINK not in context:
            context[DEFAULT_LINK] = [{"href": link.href, "title": link.title}]
    return context


def _target(link: Link) -> dict[str, Any]:
    target: dict[str, Any] = {"href": link.href, "title": link.title}
    if link.media_type is not None:
        target["type"] = link.media_type
    if link.languages:
        target["hreflang"] = list(link.languages)
    if link.context is not None:
        target["context"] = [link.context]
    return target


def handle_values(resolved: Resolved) -> list[dict[str, Any]]:
    """The same as values of a Handle: the page to open first, then all locations in one value."""
    links = [link for level in resolved.levels for link in level.links]
    default = next((link for link in links if link.is_default), links[0])
    at = datetime.now(UTC) if resolved.record is None else _learnt(resolved.record)
    values = [("URL", default.href)]
    if len(links) > 1:
        values.append(("10320/LOC", _locations(links, default)))
    return [
        {
            "index": index,
            "type": type_,
            "data": {"format": "string", "value": value},
            "ttl": TTL_S,
            "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        }
        for index, (type_, value) in enumerate(values, 1)
    ]


def _learnt(record: CodeRecord) -> datetime:
    """A UUID of version 7 begins with its time, milliseconds since 1970."""
    return datetime.fromtimestamp((record.unit.int >> 80) / 1000, UTC)


def _locations(links: Sequence[Link], default: Link) -> str:
    told = "".join(
        f"<location id={quoteattr(str(number))} role={quoteattr(link.relation)} href={quoteattr(link.href)}"
        f' weight="{1 if link == default else 0}" />'
        for number, link in enumerate(links)
    )
    return f"<locations>{told}</locations>"


def public_values(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without what is a server's own business: administrators and keys."""
    return [dict(value) for value in values if value.get("type") not in _PRIVATE_TYPES]


def selected_values(
    values: Sequence[Mapping[str, Any]], *, indexes: Sequence[int], types: Sequence[str]
) -> list[dict[str, Any]]:
    """Those of an index or of a type, all where neither is asked for; `X.` stands for X and all types below it."""
    if not indexes and not types:
        return [dict(value) for value in values]
    return [
        dict(value)
        for value in values
        if value.get("index") in indexes or any(_is_of(str(value.get("type")), type_) for type_ in types)
    ]


def _is_of(type_: str, asked: str) -> bool:
    if asked.endswith("."):
        return type_ == asked[:-1] or type_.startswith(asked)
    return type_ == asked


def anchor(code: IdentifierCode, address: str) -> str:
    """Where a code lies on the server at `address`; `parse` reads the code back."""
    if code.scheme == gs1.SCHEME:
        return gs1.digital_link_of(str(code), stem=address.rstrip("/"))
    return _page(code, address)


def _page(code: IdentifierCode, address: str) -> str:
    stem = f"{address.rstrip('/')}{RESOLVER_PATH}"
    page = f"{stem}{quote(str(code), safe='/:')}"
    # The slashes of a Handle like 86/01/09520123456788 may be taken for those of a Digital Link.
    return page if examine(page).code == code else f"{stem}{quote(str(code), safe=':')}"


# ------------------------------------------------------------------ rows


def _own_links(code: IdentifierCode, address: str, *, has_default: bool) -> tuple[Link, ...]:
    """Our page of a unit, and the events about it."""
    stem = address.rstrip("/")
    events = f"{stem}/epcis/events?MATCH_anyEPC={quote(epc_of(code), safe='')}"
    return (
        Link(
            relation=TRACEABILITY,
            href=_page(code, address),
            title="Inspection and origin",
            media_type="text/html",
            languages=("zh", "en"),
            is_default=not has_default,
        ),
        Link(relation=EPCIS, href=events, title="EPCIS events", media_type="application/ld+json"),
    )


def _registered(connection: Connection, code: IdentifierCode) -> tuple[Link, ...]:
    table = tables.code_link.c
    rows = (
        select(tables.code_link)
        .where(table.scheme == code.scheme, table.canon == code.canon, table.voided_at.is_(None))
        .order_by(table.registered_at, table.id)
    )
    return tuple(
        Link(
            relation=row["relation"],
            href=row["href"],
            title=row["title"],
            media_type=row["media_type"],
            languages=() if row["language"] is None else (row["language"],),
            context=row["context"],
            is_default=row["is_default"],
        )
        for row in connection.execute(rows).mappings()
    )


def _wider(code: IdentifierCode) -> list[IdentifierCode]:
    """The trade item of a serial number, and whatever else a GS1 key alone identifies."""
    if code.scheme != gs1.SCHEME:
        return []
    elements = gs1.canonical_elements(str(code))
    return wider_of(elements)[1:]


def wider_of(elements: Sequence[Element]) -> list[IdentifierCode]:
    """What each beginning of a Digital Link's path identifies, the longest first."""
    codes = [parse(bracketed(elements[:count])) for count in range(len(elements), 0, -1)]
    return list(dict.fromkeys(codes))


def _check(link: Link) -> None:
    wrong = next(
        (
            name
            for name, value in (("relation", link.relation), ("href", link.href))
            if not value.startswith(("https://", "http://"))
        ),
        None if link.title.strip() else "title",
    )
    if wrong is not None:
        raise LinkRefused(
            f"The {wrong} of a link cannot be {getattr(link, wrong)!r}.",
            action="Relation and href are web addresses, and a link has a title.",
            field=wrong,
            value=str(getattr(link, wrong)),
        )


def _unknown(code: IdentifierCode) -> UnitUnknown:
    return UnitUnknown(
        f"Nothing is recorded under {code}.",
        action="Check the code, also its capitals, or search for a part of it.",
        unit=str(code),
    )


def _answer(code: IdentifierCode, body: dict[str, Any] | None, *, stale: bool) -> dict[str, Any]:
    if body is None:
        raise _unknown(code)
    return {**body, "stale": stale}


def _ttl(body: Mapping[str, Any]) -> timedelta:
    """The shortest that the node says; a TTL may also be a time, which we take as our own."""
    said = [value.get("ttl") for value in body.get("values", []) if isinstance(value, Mapping)]
    seconds = [one for one in said if isinstance(one, int) and not isinstance(one, bool) and one > 0]
    return min(timedelta(seconds=min(seconds, default=TTL_S)), _KEPT_FOR)
