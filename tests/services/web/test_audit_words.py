"""The audit's page: words in place of keys, names in place of ids."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from services.web.audit_words import AuditWords
from station_config import load_station
from tests.services.signed_in import signed_in
from traceability.accounts import AuditEntry, Role

LANES = {lane.name: lane.title for lane in load_station("demo").lanes}
ACCOUNT = UUID("01a21fd2-61a2-7357-8995-d8c2a6ffc005")
"""The same in each of the processes that collect these tests."""


def words_in(language: str) -> AuditWords:
    return AuditWords(
        language=language,
        station="here",
        lanes=LANES,
        accounts={str(ACCOUNT): "wang"},
        owners={"c" * 64: "wang"},
        person=lambda name: {"wang": "Wang Min"}.get(name or "", "–"),
    )


def an_entry(subject: str, **given) -> AuditEntry:
    empty = {"person": "wang", "role": "engineer", "before": None, "after": None, "reason": None}
    return AuditEntry(
        **(
            empty
            | {"id": uuid4(), "at": datetime.now(UTC), "action": "case.assigned", "subject": subject}
            | given
        )
    )


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "en",
            [
                ("decision", "Rework"),
                ("due", "2026-12-01"),
                ("limits · centre", "0.0333333"),
                ("limits · upper", "–"),
                ("may sign in", "no"),
                ("mode", "BYPASS"),
                ("owner", "Wang Min"),
                ("role", "Quality engineer"),
                ("full name", "changed"),
                ("units", "P-1, P-2"),
            ],
        ),
        (
            "zh",
            [
                ("处置", "返工"),
                ("期限", "2026-12-01"),
                ("控制限 · 中心", "0.0333333"),
                ("控制限 · 上限", "–"),
                ("可登录", "否"),
                ("方式", "旁路"),
                ("负责人", "Wang Min"),
                ("角色", "质量工程师"),
                ("姓名", "已更改"),
                ("单件", "P-1, P-2"),
            ],
        ),
    ],
)
def test_keys_are_words_and_values_what_people_call_them(language, told):
    side = {
        "role": "engineer",
        "is_active": False,
        "title": None,
        "decision": "rework",
        "mode": "bypass",
        "owner": "c" * 64,
        "due": "2026-12-01",
        "units": ["P-1", "P-2"],
        "limits": {"upper": None, "centre": 1 / 30},
    }
    found = words_in(language).told(side)
    assert sorted(found) == sorted(told)


def test_a_list_of_things_is_told_one_by_one_and_a_digest_by_its_beginning():
    side = {
        "gates": [{"what": "chip", "passed": True}, {"what": "latency", "passed": False}],
        "sha256": "a" * 64,
    }
    assert words_in("en").told(side) == [
        ("gate 1 · passed", "yes"),
        ("gate 1 · what", "chip"),
        ("gate 2 · passed", "no"),
        ("gate 2 · what", "latency"),
        ("SHA-256", "aaaaaaaaaaaa…"),
    ]


@pytest.mark.parametrize(
    ("subject", "kind", "name", "url"),
    [
        (f"account:{ACCOUNT}", "account", "Wang Min", None),
        ("account:unknown", "account", "", None),
        ("lane:here/strip", "lane", "Strip", None),
        ("lane:hall-2/strip", "lane", "hall-2/strip", None),
        ("alarm:here/parts:CAM-LOST", "alarm", "Parts CAM-LOST", None),
        ("alarm:hall-2/parts:CAM-LOST", "alarm", "hall-2/parts CAM-LOST", None),
        ("camera:here/parts", "camera", "Parts", None),
        # As earlier versions noted it.
        ("lane:strip", "lane", "Strip", None),
        ("alarm:parts:CAM-LOST", "alarm", "Parts CAM-LOST", None),
        ("unit:86.999.1/P-1", "unit", "86.999.1/P-1", "/trace/86.999.1/P-1"),
        ("units", "unit", "", None),
        ("case:7", "case", "7", "/cases/7"),
        ("what a later version writes", "", "what a later version writes", None),
    ],
)
def test_what_something_was_done_to_has_its_name_and_its_page(subject, kind, name, url):
    found = words_in("en").subject(an_entry(subject))
    assert (found.kind.removesuffix("s"), found.name, found.url) == (kind, name, url)


def test_no_entry_of_the_page_shows_a_key_or_json(station):
    auditor = signed_in(station.app(), Role.AUDITOR)
    page = auditor.get("/audit", headers={"Accept": "text/html", "Accept-Language": "en"}).text
    assert "role</span> Auditor" in page
    assert not re.search(r"[{\[]&#39;|account:[0-9a-f-]{36}", page)
