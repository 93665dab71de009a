from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.builders import a_measurement, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role

# Ten parts, three stations, two trials: a gauge that tells the parts well.
CROSSED = {
    "part": [f"P{part}" for part in range(10) for _ in range(6)],
    "operator": [f"S{station}" for _ in range(10) for station in range(3) for _ in range(2)],
    "value": [
        round(10 + 0.2 * part + 0.01 * station + 0.02 * trial, 3)
        for part in range(10)
        for station in range(3)
        for trial in range(2)
    ],
    "tolerance": 2.0,
}


@pytest.fixture
def engineer(station):
    return signed_in(station.app(), Role.ENGINEER)


def _study(client, kind="crossed", characteristic="width", **readings):
    given = {"kind": kind, "characteristic": characteristic, "readings": readings or CROSSED}
    return client.post("/api/v1/spc/studies", json=given)


def _measure(station, values):
    begin = datetime.now(UTC) - timedelta(hours=5)
    station.store.record(
        [
            an_inspection(
                unit=a_unit(f"86.999.1/P-{number}"),
                measurements=(a_measurement(name="width", value=float(value)),),
                finished_at=begin + timedelta(seconds=number),
            )
            for number, value in enumerate(values)
        ]
    )


def _report(client, **more):
    asked = {"measurement": "width", "lower": 8, "upper": 12} | more
    return client.get("/api/v1/spc/capability", params=asked)


def test_a_gauge_study_is_kept_as_readings_and_answered_as_figures(engineer):
    made = _study(engineer).json()
    figures = {one["key"]: one["value"] for one in made["figures"]}
    assert made["is_good"]
    assert 0 < figures["grr_tolerance"] < 10
    assert figures["ndc"] >= 5
    assert engineer.get("/api/v1/spc/studies", params={"characteristic": "width"}).json() == [made]


def test_a_study_is_for_those_who_may_record_what_others_measured(station, client):
    assert _study(client).status_code == 401
    assert _study(signed_in(station.app(), Role.OPERATOR)).status_code == 403


@pytest.mark.parametrize(
    ("kind", "readings", "code"),
    [
        ("crossed", CROSSED | {"value": [*CROSSED["value"][:-1]]}, "SPC-STUDY-INCOMPLETE"),
        (
            "crossed",
            {name: value[:-1] for name, value in CROSSED.items() if name != "tolerance"},
            "SPC-STUDY-INCOMPLETE",
        ),
        ("crossed", {"part": [], "operator": [], "value": []}, None),
        ("type_one", {"value": [1.0, 1.0, 1.0], "reference": 1.0, "tolerance": 0.1}, "SPC-NO-VARIATION"),
        ("type_one", {"value": [1.0, 1.1]}, "SPC-PARAMETER"),
        (
            "accuracy",
            {"bad_parts": 30, "bad_rejected": 31, "good_parts": 30, "good_passed": 3},
            "SPC-COUNT-IMPOSSIBLE",
        ),
        (
            "accuracy",
            {"bad_parts": 0, "bad_rejected": 0, "good_parts": 30, "good_passed": 3},
            "SPC-COUNT-IMPOSSIBLE",
        ),
        ("hit_miss", {"size": [1, 2, 3, 4, 5, 6], "hit": [0, 0, 0, 1, 1, 1]}, "SPC-FIT-IMPOSSIBLE"),
    ],
)
def test_nothing_is_kept_of_readings_from_which_nothing_follows(engineer, kind, readings, code):
    answer = _study(engineer, kind=kind, **readings)
    assert answer.status_code == 422
    assert answer.json()["code"].startswith("SPC-")
    assert code is None or answer.json()["code"] == code
    assert answer.json()["action"]
    assert engineer.get("/api/v1/spc/studies").json() == []


def test_there_is_no_capability_without_a_gauge_study_until_one_is_on_record(station, engineer):
    _measure(station, np.random.default_rng(2).normal(10, 0.4, 60))
    assert _report(engineer).json()["code"] == "SPC-GAUGE-NOT-PROVEN"
    _study(engineer)
    report = _report(engineer).json()
    assert (report["is_gauge_proven"], report["reasons"]) == (True, [])
    assert [index["name"] for index in report["indices"]] == ["Cp", "Cpk"]


def test_a_reason_given_instead_prints(station, engineer):
    _measure(station, np.random.default_rng(2).normal(10, 0.4, 60))
    assert _report(engineer, without_gauge="study on Friday").json()["reasons"] == ["study on Friday"]


def test_no_c_index_is_reported_of_a_process_that_signals(station, engineer):
    _measure(station, [*np.random.default_rng(2).normal(10, 0.4, 60), 16])
    _study(engineer)
    assert _report(engineer, naming="aiag_2005").json()["code"] == "SPC-NOT-STABLE"
    performance = _report(engineer).json()
    assert [index["name"] for index in performance["indices"]] == ["Pp", "Ppk"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"lower": 12, "upper": 8}, "SPC-SPEC-LIMITS"),
        ({"lower": "nan"}, "SVC-REQUEST-INVALID"),
        ({"measurement": "nothing"}, "SPC-NO-VALUES"),
    ],
)
def test_no_report_is_made_of_nonsense(station, engineer, asked, code):
    _measure(station, np.random.default_rng(2).normal(10, 0.4, 60))
    for language in ("en", "zh"):
        answer = _report(engineer, **asked, lang=language)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_readings_pasted_into_the_page_are_read_line_by_line(station, engineer):
    lines = "\n".join(
        f"{part}\t{operator}\t{value}"
        for part, operator, value in zip(CROSSED["part"], CROSSED["operator"], CROSSED["value"], strict=True)
    )
    form = {"kind": "crossed", "characteristic": "width", "tolerance": "2", "readings": lines}
    assert engineer.post("/spc/studies", data=form).status_code == 303
    wrong = engineer.post("/spc/studies", data=form | {"readings": lines + "\nP9, S1"})
    assert "SPC-READINGS-UNREADABLE" in wrong.text
    assert len(engineer.get("/api/v1/spc/studies").json()) == 1


def _lines(*columns):
    return "\n".join(", ".join(str(cell) for cell in row) for row in columns)


STUDIES = {
    "nested": (
        _lines(
            *(
                (f"S{station}", f"B{batch}", 10 + batch + 0.1 * station + 0.01 * trial)
                for station in range(3)
                for batch in range(4)
                for trial in range(2)
            )
        ),
        "",
        {"grr_study", "ndc"},
    ),
    "bias": ("10.01\n9.99\n10.02\n9.98\n10.00", "10", {"bias", "bias_low", "bias_high"}),
    "linearity": (
        _lines(*((master, master + 0.01 * off) for master in (2, 4, 6, 8) for off in (-1, 1, 0, 2, -2))),
        "",
        {"slope", "p_slope", "intercept"},
    ),
    "stability": (
        _lines(*((f"day{day}", 10 + 0.01 * ((day * 3 + off) % 5)) for day in range(12) for off in range(3))),
        "10",
        {"occasions", "signals", "bias"},
    ),
    "attribute": (
        _lines(
            *(
                (f"P{part}", person, truth if (part, person, trial) != (3, "B", 1) else "scratch", truth)
                for part in range(12)
                for truth in ["ok" if part % 2 else "scratch"]
                for person in ("A", "B")
                for trial in range(2)
            )
        ),
        "",
        {"system_effectiveness", "kappa", "miss", "false_alarm"},
    ),
    "signal": (
        _lines(
            *(
                (size, round(20 * size**1.1 * (1 + 0.05 * (-1) ** n), 2))
                for n, size in enumerate(range(1, 15))
            )
        ),
        "60",
        {"a50", "a90", "a90_95_delta"},
    ),
    "audit": ("400, 1", "", {"escapes_per_million", "escapes_at_most"}),
}


@pytest.mark.parametrize("kind", STUDIES)
def test_any_study_is_pasted_as_lines_and_told_as_figures_in_both_languages(engineer, kind):
    readings, reference, figures = STUDIES[kind]
    typed = {"kind": kind, "characteristic": "width", "readings": readings, "reference": reference}
    made = engineer.post("/spc/studies", data=typed, headers={"Accept": "text/html"}, follow_redirects=False)
    assert made.status_code == 303, made.text
    (study,) = engineer.get("/api/v1/spc/studies").json()
    assert figures <= {one["key"] for one in study["figures"] if one["value"] is not None}
    for language in ("en", "zh"):
        page = engineer.get(f"/spc/studies?lang={language}", headers={"Accept": "text/html"})
        assert page.text.count('<td class="figures">') == 1


def test_an_appraiser_who_left_out_a_part_is_named_not_filled_in(engineer):
    short = STUDIES["attribute"][0].rsplit("\n", 1)[0]
    typed = {"kind": "attribute", "characteristic": "parts", "readings": short}
    refused = engineer.post("/spc/studies", data=typed, headers={"Accept": "text/html"})
    assert "SPC-STUDY-INCOMPLETE" in refused.text


@pytest.mark.parametrize("shape", ["best_fit", "lognormal", "weibull", "gamma", "johnson", "box_cox"])
def test_a_capability_of_values_that_are_not_normal_says_what_they_were_taken_to_follow(
    station, engineer, shape
):
    _measure(station, np.random.default_rng(4).lognormal(1, 0.3, 400))
    asked = {"lower": 0.5, "upper": 8, "although_unstable": "trial", "without_gauge": "trial"}
    plain = _report(engineer, **asked).json()
    report = _report(engineer, **asked, shape=shape).json()
    assert plain["shape"] is None
    assert report["shape"]["low"] < report["shape"]["median"] < report["shape"]["high"]
    # Of a lognormal with median e and sigma 0.3: 1.11, 2.72, 6.69. A Weibull of that median is another curve.
    assert report["shape"]["median"] == pytest.approx(np.e, rel=0.08)
    assert report["shape"]["high"] == pytest.approx(6.69, rel=0.25)
    assert [index["name"] for index in report["indices"]] == ["Pp", "Ppk"]
    assert report["taguchi"] is None
    assert plain["tolerance"] == report["tolerance"]
    assert plain["tolerance"][0] < 1 < 5 < plain["tolerance"][1]


def test_values_below_zero_cannot_be_taken_to_follow_what_is_above_it(station, engineer):
    _measure(station, np.random.default_rng(2).normal(0, 0.4, 60))
    asked = {"lower": -2, "upper": 2, "although_unstable": "trial", "without_gauge": "trial"}
    for shape, code in (("weibull", "SPC-FIT-IMPOSSIBLE"), ("box_cox", "SPC-PARAMETER")):
        answer = _report(engineer, **asked, shape=shape)
        assert answer.status_code == 422
        assert answer.json()["code"] == code
