from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape
from typing import get_args

import numpy as np
import pytest
from scipy.stats import norm

from services.text import LANGUAGES, say
from tests.builders import a_measurement, a_unit, an_inspection
from tests.services.signed_in import signed_in
from traceability.accounts import Role
from traceability.gauge_studies import StudyKind
from traceability.spc.agreement import bowker, gwet_ac1
from traceability.spc.detection import analytic_study

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


def has_measured(station, values):
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
        ("crossed", {"part": [], "operator": [], "value": []}, "SPC-INPUT-MISSING"),
        (
            "nested",
            {name: value for name, value in CROSSED.items() if name != "tolerance"}
            | {"value": CROSSED["value"][:-1]},
            "SPC-STUDY-INCOMPLETE",
        ),
        ("type_one", {"value": [1.0, 1.0, 1.0], "reference": 1.0, "tolerance": 0.1}, "SPC-NO-VARIATION"),
        ("type_one", {"value": [1.0, 1.1]}, "SPC-INPUT-MISSING"),
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
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 60))
    assert _report(engineer).json()["code"] == "SPC-GAUGE-NOT-PROVEN"
    _study(engineer)
    report = _report(engineer).json()
    assert (report["is_gauge_proven"], report["reasons"]) == (True, [])
    assert [index["name"] for index in report["indices"]] == ["Cp", "Cpk"]


def _lens_changed(client, *, hours_ago: float, lane="strip"):
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    said = {"part": "lens", "lane": lane, "what": "50 mm for 35 mm", "at": at.isoformat()}
    assert client.post("/api/v1/spc/changes", json=said).status_code == 201


def test_a_gauge_study_from_before_the_lens_was_changed_proves_nothing_of_what_was_measured_after(
    station, engineer
):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 60))
    _study(engineer)
    assert _report(engineer).json()["is_gauge_proven"]
    # The values are from five hours ago; the study is from now.
    _lens_changed(engineer, hours_ago=1)
    aged = _report(engineer)
    assert (aged.status_code, aged.json()["code"]) == (422, "SPC-GAUGE-NOT-PROVEN")
    printed = _report(engineer, without_gauge="the same lens, new mount").json()
    assert (printed["is_gauge_proven"], printed["reasons"]) == (False, ["the same lens, new mount"])


def test_a_gauge_study_made_between_the_same_changes_as_the_values_holds(station, engineer):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 60))
    _lens_changed(engineer, hours_ago=24)
    _lens_changed(engineer, hours_ago=1, lane="parts")
    assert _report(engineer).json()["code"] == "SPC-GAUGE-NOT-PROVEN"
    _study(engineer)
    assert _report(engineer).json()["is_gauge_proven"]


def test_a_newer_study_that_is_bad_overrules_a_good_one_of_the_same_optics(station, engineer):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 60))
    _study(engineer)
    _study(engineer, **CROSSED | {"tolerance": 0.01})
    assert _report(engineer).json()["code"] == "SPC-GAUGE-NOT-PROVEN"


def test_a_reason_given_instead_prints(station, engineer):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 60))
    assert _report(engineer, without_gauge="study on Friday").json()["reasons"] == ["study on Friday"]


@pytest.mark.parametrize("count", [2, 24])
def test_of_too_few_values_there_is_no_capability_report_whatever_reason_is_given(station, engineer, count):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, count))
    _study(engineer)
    refused = _report(engineer, without_gauge="trial", although_unstable="trial")
    assert (refused.status_code, refused.json()["code"]) == (422, "SPC-CAPABILITY-TOO-FEW")
    for language, said in (
        ("en", f"There are {count} values, and a capability report needs at least 25."),
        ("zh", f"目前只有 {count} 个值，能力报告至少需要 25 个。"),
    ):
        page = engineer.get(
            "/spc/capability?measurement=width&lower=8&upper=12",
            headers={"Accept": "text/html", "Accept-Language": language},
        )
        assert said in page.text
        if count == 2:
            assert "-0.57" in page.text
            assert "3.23" in page.text
        assert 'class="histogram"' not in page.text


def test_a_report_of_few_values_says_how_many_they_are_and_how_wide_its_interval_is(station, engineer):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 60))
    _study(engineer)
    report = _report(engineer).json()
    nearest = report["indices"][-1]
    few = report["few"]
    assert (few["values"], few["wanted"], few["index"]) == (60, 100, nearest["name"])
    assert few["interval"] == nearest["interval"]
    assert few["width"] == pytest.approx(nearest["interval"][1] - nearest["interval"][0])
    by_percentiles = _report(engineer, shape="lognormal").json()["few"]
    assert (by_percentiles["values"], by_percentiles["width"]) == (60, None)
    for language, said in (("en", "Only 60 values: "), ("zh", "只有 60 个值：")):
        for shape, width in (("lognormal", ""), ("normal", f"{few['width']:.2f}")):
            page = engineer.get(
                "/spc/capability",
                params={"measurement": "width", "lower": 8, "upper": 12, "shape": shape},
                headers={"Accept": "text/html", "Accept-Language": language},
            ).text
            remark = page.split(said)[1].split("</p>")[0]
            assert width in remark
        asked = {"measurement": "width", "lower": 8, "upper": 12, "lang": language}
        assert engineer.get("/api/v1/spc/capability/file", params=asked).content.startswith(b"%PDF")


def test_a_report_of_enough_values_has_no_such_remark(station, engineer):
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 100))
    _study(engineer)
    assert _report(engineer).json()["few"] is None


def test_a_tail_far_beyond_what_so_few_values_say_is_told_as_less_than(station, engineer):
    has_measured(station, np.random.default_rng(2).normal(10, 0.1, 60))
    _study(engineer)
    page = engineer.get(
        "/spc/capability?measurement=width&lower=8&upper=12", headers={"Accept": "text/html"}
    ).text
    assert "&lt; 0.001 ppm" in page
    assert "e-" not in page.split("ppm")[0].rsplit("<td", 1)[1]


def test_no_c_index_is_reported_of_a_process_that_signals(station, engineer):
    has_measured(station, [*np.random.default_rng(2).normal(10, 0.4, 60), 16])
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
    has_measured(station, np.random.default_rng(2).normal(10, 0.4, 60))
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


@pytest.mark.parametrize(
    ("kind", "lines"), [("audit", "200 1\n300 5"), ("accuracy", "40 38 40 39\n\n50 49 50 48")]
)
def test_a_second_line_of_a_study_that_one_line_says_is_refused_and_not_dropped(engineer, kind, lines):
    form = {"kind": kind, "characteristic": "parts", "readings": lines}
    for language, said in (("en", "is a second line of"), ("zh", "是第二行")):
        wrong = engineer.post("/spc/studies", data=form, headers={"Accept-Language": language})
        assert "SPC-READINGS-UNREADABLE" in wrong.text
        assert said in wrong.text
        assert lines.splitlines()[-1] in wrong.text
    assert engineer.get("/api/v1/spc/studies").json() == []


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
    has_measured(station, np.random.default_rng(4).lognormal(1, 0.3, 400))
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
    has_measured(station, np.random.default_rng(2).normal(0, 0.4, 60))
    asked = {"lower": -2, "upper": 2, "although_unstable": "trial", "without_gauge": "trial"}
    for shape, code in (("weibull", "SPC-FIT-IMPOSSIBLE"), ("box_cox", "SPC-PARAMETER")):
        answer = _report(engineer, **asked, shape=shape)
        assert answer.status_code == 422
        assert answer.json()["code"] == code


def _lines(*rows):
    return {
        name: list(column)
        for name, column in zip(("part", "operator", "rating", "truth"), zip(*rows, strict=True), strict=True)
    }


# Twenty parts, a fifth of them bad; Eva takes two good ones for bad, and misses one that Otto sees.
RATED = _lines(
    *(
        (f"P{part}", who, "nok" if (truth == "nok" and part not in missed) or part in called else "ok", truth)
        for part in range(20)
        for truth in ["nok" if part < 4 else "ok"]
        for who, missed, called in (("Eva", (3,), (7, 8)), ("Otto", (), ()))
    )
)


def _figures(answer):
    assert answer.status_code == 201, answer.text
    return {one["key"]: one["value"] for one in answer.json()["figures"]}


def test_agreement_of_appraisers_is_told_where_bad_parts_are_rare_and_who_is_stricter(engineer):
    figures = _figures(_study(engineer, kind="attribute", characteristic="parts", **RATED))
    # Both: 3 bad, 14 good; only Otto bad: 1; only Eva bad: 2.
    table = [[3, 2], [1, 14]]
    assert figures["ac1"] == pytest.approx(gwet_ac1(table).ac1)
    assert figures["p_symmetry"] == pytest.approx(bowker(table).p)
    # Of 8 looks at bad parts 7 see them; of 32 at good ones 2 take them for bad.
    assert figures["d_prime"] == pytest.approx(norm.ppf(7 / 8) - norm.ppf(2 / 32))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_part_given_as_two_things_is_refused_with_its_name_both_truths_and_where_they_stand(
    engineer, language
):
    lines = STUDIES["attribute"][0].splitlines()
    lines[5] = re.sub(r"\w+$", "scratch", lines[5])
    typed = {"kind": "attribute", "characteristic": "parts", "readings": "\n".join(lines)}
    refused = engineer.post(
        "/spc/studies", data=typed, headers={"Accept": "text/html", "Accept-Language": language}
    )
    assert refused.status_code == 422
    banner = re.search('role="alert">(.*?)</div>', refused.text).group(1)
    said = {
        "en": "part P1 is given as ok in reading 5 and as scratch in reading 6",
        "zh": "零件 P1 在第 5 个读数中的真值是 ok，在第 6 个读数中却是 scratch",
    }
    assert "SPC-TRUTH-CONTRADICTS" in banner
    assert said[language] in banner
    assert "appa" not in banner, "nothing about kappa, which is not what is wrong"


def test_a_part_of_two_sizes_or_of_two_truths_between_versions_is_refused(engineer):
    tried = {"part": ["P1", "P2", "P1"], "master": [9.0, 10.0, 9.5], "rating": ["ok", "ok", "nok"]}
    for kind, readings in (
        ("grey_zone", tried),
        ("analytic", tried | {"reference": 10.0}),
        ("versions", _lines(("P1", "v1", "ok", "ok"), ("P1", "v2", "ok", "nok"))),
    ):
        refused = _study(engineer, kind=kind, characteristic="parts", **readings)
        assert (refused.status_code, refused.json()["code"]) == (422, "SPC-TRUTH-CONTRADICTS")


def test_a_study_in_which_everything_is_good_is_refused_in_words(engineer):
    fine = _lines(*((f"P{part}", who, "ok", "ok") for part in range(5) for who in ("Eva", "Otto")))
    refused = _study(engineer, kind="attribute", characteristic="parts", **fine)
    assert (refused.status_code, refused.json()["code"]) == (422, "SPC-ONE-CLASS")


def test_of_one_appraiser_alone_is_told_what_holds_for_one_and_said_what_cannot_be_had(engineer):
    alone = {
        name: [one for one, who in zip(RATED[name], RATED["operator"], strict=True) if who == "Eva"] * 2
        for name in RATED
    }
    answer = _study(engineer, kind="attribute", characteristic="parts", **alone)
    figures = _figures(answer)
    # Of 20 parts Eva is wrong on three, the same way both times.
    assert figures["effectiveness"] == pytest.approx(17 / 20)
    assert figures["within"] == 1
    assert figures["miss"] == pytest.approx(1 / 4)
    assert figures["kappa"] is not None
    assert [figures[name] for name in ("fleiss", "ac1", "p_symmetry")] == [None, None, None]
    assert answer.json()["remarks"] == ["one_appraiser"]
    for language, said in (("en", "One appraiser alone"), ("zh", "只有一位评价人")):
        page = engineer.get("/spc/studies", headers={"Accept": "text/html", "Accept-Language": language}).text
        assert said in page


def test_of_one_trial_each_is_said_that_nobody_can_be_compared_with_himself(engineer):
    answer = _study(engineer, kind="attribute", characteristic="parts", **RATED)
    assert answer.json()["remarks"] == ["one_trial"]
    assert _figures(answer)["within"] is None


def test_two_model_versions_are_compared_on_the_parts_on_which_they_differ(engineer):
    """Of 20 parts the first is wrong on three that the second gets right, and right on none that it gets wrong."""
    figures = _figures(_study(engineer, kind="versions", characteristic="parts", **RATED))
    assert (figures["only_first"], figures["only_second"]) == (0, 3)
    assert figures["difference"] == pytest.approx(-3 / 20)
    assert figures["p_versions"] == pytest.approx(2 * 0.5**3)


# Sizes about a lower limit of 10, five trials each: never, now and then, always accepted.
TRIED = [(9.0, 0), (9.5, 0), (9.8, 1), (9.9, 2), (10.0, 3), (10.1, 4), (10.3, 5), (11.0, 5)]
AT_THE_LIMIT = {
    "part": [f"P{size}" for size, _ in TRIED for _ in range(5)],
    "master": [size for size, _ in TRIED for _ in range(5)],
    "rating": ["ok" if trial < accepted else "nok" for _, accepted in TRIED for trial in range(5)],
}


def test_the_grey_zone_at_a_limit_is_found_by_signal_detection(engineer):
    figures = _figures(_study(engineer, kind="grey_zone", tolerance=4.0, **AT_THE_LIMIT))
    assert figures["grey_lower"] == pytest.approx(10.3 - 9.5)
    assert figures["grey_upper"] is None
    assert figures["grr_tolerance"] == pytest.approx(100 * 0.8 / 4)


def test_the_analytic_method_has_bias_and_repeatability_at_the_limit(engineer):
    figures = _figures(_study(engineer, kind="analytic", reference=10.0, **AT_THE_LIMIT))
    known = analytic_study(
        [size for size, _ in TRIED], [accepted for _, accepted in TRIED], trials=5, limit=10.0
    )
    assert figures["bias"] == pytest.approx(known.bias)
    assert figures["repeatability"] == pytest.approx(known.repeatability)


@pytest.mark.parametrize(
    ("kind", "readings", "code"),
    [
        ("versions", RATED | {"operator": ["Eva"] * 40}, "SPC-PARAMETER"),
        ("versions", {name: column[:-1] for name, column in RATED.items()}, "SPC-STUDY-INCOMPLETE"),
        ("grey_zone", AT_THE_LIMIT | {"rating": ["ok"] * 40}, "SPC-TOO-FEW-VALUES"),
        ("grey_zone", AT_THE_LIMIT | {"rating": ["ok"] * 39}, "SPC-PARAMETER"),
        ("analytic", AT_THE_LIMIT, "SPC-INPUT-MISSING"),
        (
            "analytic",
            {name: column[:-1] for name, column in AT_THE_LIMIT.items()} | {"reference": 10.0},
            "SPC-STUDY-INCOMPLETE",
        ),
    ],
)
def test_verdicts_from_which_nothing_follows_are_refused(engineer, kind, readings, code):
    answer = _study(engineer, kind=kind, **readings)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_takes_verdicts_of_two_versions_and_shows_who_was_right(engineer, language):
    lines = "\n".join(", ".join(row) for row in zip(*RATED.values(), strict=True))
    headers = {"Accept": "text/html", "Accept-Language": language}
    given = {"kind": "versions", "characteristic": "parts", "readings": lines}
    assert engineer.post("/spc/studies", data=given, headers=headers).status_code == 303
    shown = engineer.get("/spc/studies", headers=headers).text
    assert say("web.figure.only_second", language) in shown
    for kind in get_args(StudyKind):
        assert escape(say(f"web.study_how.{kind}", language)) in shown


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_study_is_made_of_what_was_measured_on_a_golden_part(station, engineer, language):
    has_measured(station, [10.0, 10.1] * 15)
    code = "86.999.1/P-0"
    station.store.record(
        [
            an_inspection(
                unit=a_unit(code),
                measurements=(a_measurement(name="width", value=10 + 0.01 * number),),
                finished_at=datetime.now(UTC) - timedelta(hours=1, minutes=number),
            )
            for number in range(12)
        ]
    )
    said = {
        "kind": "type_one",
        "characteristic": "width",
        "parts": [code],
        "reference": 10.05,
        "tolerance": 2,
    }
    made = engineer.post("/api/v1/spc/studies/from-record", json=said)
    assert made.status_code == 201, made.text
    headers = {"Accept": "text/html", "Accept-Language": language}
    form = said | {"parts": code, "kind": "bias", "tolerance": ""}
    assert engineer.post("/spc/studies/from-record", data=form, headers=headers).status_code == 303
    bias, first = engineer.get("/api/v1/spc/studies").json()
    assert (bias["kind"], first["kind"]) == ("bias", "type_one")
    values = [10.0, *(10 + 0.01 * number for number in range(12))]
    figures = {one["key"]: one["value"] for one in bias["figures"]}
    assert figures["bias"] == pytest.approx(sum(values) / 13 - 10.05)
    wrong = engineer.post("/spc/studies/from-record", data=form | {"parts": "P-unknown"}, headers=headers)
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text


@pytest.mark.parametrize(
    ("language", "kind", "said"),
    [
        ("en", "crossed", "Gauge R&R, crossed: part was not given."),
        ("zh", "type_one", "类型 1 研究：没有给出参考值。"),
    ],
)
def test_a_refusal_calls_study_and_reading_as_people_do(engineer, language, kind, said):
    given = {"kind": kind, "characteristic": "width", "readings": {"value": [1.0, 1.1]}}
    answer = engineer.post("/api/v1/spc/studies", json=given, params={"lang": language})
    assert answer.json()["title"] == said
