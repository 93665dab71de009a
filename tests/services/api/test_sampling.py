from __future__ import annotations

import pytest


def test_the_standards_plan_of_a_lot_comes_with_its_risks(client):
    """ISO 2859-1, tables 1 and 2-A: lot of 1000, level II, AQL 0.65: letter J, 80 with 1 and 2."""
    plan = client.get("/api/v1/spc/sampling/plan", params={"lot": 1000, "aql": 0.65}).json()
    assert (plan["letter"], plan["n"], plan["accept"], plan["reject"]) == ("J", 80, 1, 2)
    assert plan["curve"]["accepted"][0] == 1
    assert plan["risk_95"] < plan["aoql"] < plan["risk_10"]


def test_two_of_five_lots_refused_tighten_the_inspection(client):
    asked = {"lot": 1000, "aql": 0.65, "nonconforming": [0, 2, 0, 3, 0]}
    found = client.get("/api/v1/spc/sampling/switching", params=asked).json()
    assert [one["severity"] for one in found["lots"]] == ["normal"] * 4 + ["tightened"]


def test_good_lots_lead_to_reduced_inspection(client):
    asked = {"lot": 1000, "aql": 0.65, "nonconforming": [0] * 16}
    found = client.get("/api/v1/spc/sampling/switching", params=asked).json()
    assert (found["reduced_from"], found["next_severity"]) == (15, "reduced")


def test_an_audit_without_an_escape_still_leaves_three_of_its_number(client):
    found = client.get("/api/v1/spc/sampling/audit", params={"audited": 300, "escapes": 0}).json()
    assert found["per_million"] == 0
    assert found["upper"] == pytest.approx(3e6 / 300, rel=0.01)


def test_an_aql_that_the_standard_does_not_have_is_refused(client):
    answer = client.get("/api/v1/spc/sampling/plan", params={"lot": 1000, "aql": 0.7})
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-PARAMETER")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_shows_plan_zero_acceptance_continuous_sampling_and_switching(client, language):
    asked = {"lang": language, "found": "0 2 0 3 0"}
    shown = client.get("/spc/sampling", params=asked, headers={"Accept": "text/html"})
    assert "n = 80, Ac = 1, Re = 2" in shown.text
    assert "CSP-1" in shown.text
    assert shown.text.count("<tr><td>") == 5


def test_more_bad_units_than_the_lot_has_are_refused(client):
    asked = {"lot": 100, "aql": 1.0, "nonconforming": [200]}
    answer = client.get("/api/v1/spc/sampling/switching", params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "SPC-COUNT-IMPOSSIBLE")
    assert "200 of 100" in answer.json()["title"]


@pytest.mark.parametrize(("language", "said"), [("en", "has to be 1 or more"), ("zh", "应不小于 1")])
def test_a_number_out_of_range_is_refused_in_the_readers_language(client, language, said):
    answer = client.get("/api/v1/spc/sampling/audit", params={"audited": 0, "escapes": 0, "lang": language})
    assert answer.status_code == 422
    assert said in answer.json()["title"]
