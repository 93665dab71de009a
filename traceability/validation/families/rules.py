"""Run rules and run lengths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from traceability.spc import rules, run_length
from traceability.validation import comparing as to
from traceability.validation.drawn import z_of
from traceability.validation.given import Fields, Given, NotReported

RULE_SETS = {
    "we": "western_electric",
    "aiag": "aiag_2005",
    "aiag_spc2": "aiag_2005",
    "iso7870": "iso7870_2",
    "gbt17989": "iso7870_2",
    "iso8258": "gb4091",
}


def _preset(name: str) -> tuple[rules.Rule, ...]:
    plain = str(name).lower()
    if plain in rules.PRESETS:
        return rules.PRESETS[plain]
    for known in sorted((*RULE_SETS, *rules.PRESETS), key=len, reverse=True):
        if plain.startswith(known):
            return rules.PRESETS[RULE_SETS.get(known, known)]
    raise NotReported(f"preset {name}")


def _signalling(z: Sequence[float], chosen: Sequence[rules.Rule], given: Given) -> list[int]:
    reading: Fields = dict(given.get("reading", default={}))
    if str(given.get("missing", default="")).startswith(("skip", "left")):
        reading["missing"] = "left out"
    values = [float("nan") if value is None else value for value in z]
    found = rules.signals(
        values, chosen, stages=given.get("stage", "stages"), reading=rules.Reading(**reading)
    )
    return sorted(set(to.one_based(signal.index for signal in found)))


def _picked(chosen: Sequence[rules.Rule], said: Any) -> list[rules.Rule]:
    """One of a preset by its number, one by words such as "9 one side", or all."""
    if said is None:
        return list(chosen)
    if isinstance(said, int):
        return [chosen[index] for index in to.zero_based([said])]
    (points,) = map(int, re.findall(r"\d+", said))
    kinds = {"side": rules.run, "trend": rules.trend, "alternating": rules.alternating}
    make = next((made for word, made in kinds.items() if word in said), None)
    if make is None:
        raise NotReported(f"rule {said}")
    return [make(points)]


def one_rule(given: Given) -> Fields:
    z = z_of(given)
    chosen = _preset(given.get("rule_set", "preset", default="nelson"))
    picked = _picked(chosen, given.get("rule"))
    signals = _signalling(z, picked, given)
    each = {f"rule{number}": _signalling(z, [rule], given) for number, rule in to.numbered(chosen)}
    far = next(rule for rule in rules.NELSON if rule.kind == "outside")
    either = rules.outside(far.points, far.sigmas, sides="either")
    both_sides, either_side = (_signalling(z, [rule], given) for rule in (far, either))
    each["both_sides both nelson_both_sides"] = both_sides
    each["either_side either minitab_either_side"] = either_side
    for rule in (one for preset in rules.PRESETS.values() for one in preset if one.kind == "alternating"):
        each[f"alternating_{rule.points} alt_{rule.points}"] = _signalling(z, [rule], given)
    return {
        **each,
        "signal_points signals": signals,
        "first_signal": to.first(signals),
        "rules": each,
    }


def trend_lengths(given: Given) -> Fields:
    z = z_of(given)
    named = {
        rule.points: rule for preset in rules.PRESETS.values() for rule in preset if rule.kind == "trend"
    }
    fields: Fields = {}
    for points, rule in named.items():
        signals = _signalling(z, [rule], given)
        fields |= {f"points_{points}": signals, f"iso7870_2_points_{points}": signals}
        (increases,) = to.zero_based([points])
        fields |= {f"increases_{increases}_minitab": signals, f"increases_{increases}": signals}
    return fields


def run_lengths(given: Given) -> Fields:
    z = z_of(given)
    named = {rule.points: rule for preset in rules.PRESETS.values() for rule in preset if rule.kind == "run"}
    fields: Fields = {}
    for points, rule in named.items():
        signals = _signalling(z, [rule], given)
        for name in (
            "aiag_or_iso",
            "aiag",
            "iso",
            "western_electric",
            "nelson",
            "juran",
            "gb4091",
            "iso8258",
        ):
            fields[f"{name}_run{points}"] = signals
    return fields


def staged_rule(given: Given) -> Fields:
    z = z_of(given)
    chosen = _preset(given.get("rule_set", "preset", default="nelson"))
    picked = _picked(chosen, given.get("rule"))
    without = Given({name: value for name, value in given.data.items() if name not in ("stage", "stages")})
    signals = _signalling(z, picked, given)
    plain = _signalling(z, picked, without)
    return {
        "signal_points with_restart restart signal_points_with_restart": signals,
        "first_signal": to.first(signals),
        "without_restart no_restart signal_points_without_restart": plain,
    }


def western_electric_arl(given: Given) -> Fields:
    by_number = dict(to.numbered(rules.WESTERN_ELECTRIC))
    ticked = [[*map(int, name)] for name in to.subsets(given.need("rules"))]
    fields: Fields = {}
    for delta, name in ((to.none_of(given), "arl0"), (to.last(given.need("delta")), "arl_delta1")):
        fields[name] = {
            "".join(map(str, one)): run_length.run_length(
                [by_number[number] for number in one], shift=delta
            ).mean
            for one in ticked
        }
    return fields


def _rule_of(code: Sequence[Any]) -> rules.Rule:
    """A rule from its short name in the case and its number of points."""
    name, points = code
    if name in ("1", "23", "45"):
        kinds = {"1": "beyond_limits", "23": "2_of_3_beyond_2_sigma", "45": "4_of_5_beyond_1_sigma"}
        return next(rule for preset in rules.PRESETS.values() for rule in preset if rule.name == kinds[name])
    within = next(rule.sigmas for rule in rules.NELSON if rule.kind == "within")
    return {
        "run": lambda: rules.run(points),
        "trend": lambda: rules.trend(points),
        "alt": lambda: rules.alternating(points),
        "in": lambda: rules.within(points, within),
        "mix": lambda: rules.outside(points, within),
        "out": lambda: rules.outside(points, within, sides="either"),
    }[name]()


def preset_arl(given: Given) -> Fields:
    rows: Fields = {}
    for name, codes in given.need("presets").items():
        chosen = [_rule_of(code) for code in codes]
        meter = run_length.false_alarms(chosen)
        rows[name] = {
            "arl0": meter.in_control.mean,
            "arl_delta1": meter.at_one_sigma.mean,
        }
    return {"rows": rows}


def cusum_arl(given: Given) -> Fields:
    is_one = "one" in str(given.get("sides", "type", default="two"))
    options: Fields = {"sides": to.one_side()} if is_one else {}
    widths = given.need("h")
    listed = widths if isinstance(widths, list) else [widths]
    rows = []
    for delta in given.need("delta", "shift"):
        row: Fields = {"delta": delta}
        for h in listed:
            start = given.get("head_start", "fir", "headstart")
            if start is True:
                start = to.half(h)
            extra = {} if start is None else {"head_start": start}
            arl = run_length.cusum_arl(k=given.need("k"), h=h, shift=delta, **options, **extra)
            row |= {
                f"h{h}": arl,
                "arl ARL": arl,
            }
            quick = run_length.cusum_arl(
                k=given.need("k"), h=h, shift=delta, head_start=to.half(h), **options
            )
            row |= {
                f"h{h}_fir": quick,
                "fir arl_fir": quick,
            }
        rows.append(row)
    return {
        "rows": rows,
        "arl": [to.field(row, "arl") for row in rows],
        "arl_fir": [to.field(row, "arl_fir") for row in rows],
        "arl0": to.field(to.first(rows), "arl"),
    }


def ewma_arl(given: Given) -> Fields:
    weights, widths = given.need("lambda", "weight"), given.need("L", "c", "nsigmas")
    if not isinstance(weights, list):
        weights = [weights]
    if not isinstance(widths, list):
        widths = [widths] * len(weights)
    rows = []
    for delta in given.need("delta", "shift"):
        row: Fields = {"delta": delta}
        for weight, width in zip(weights, widths, strict=True):
            arl = run_length.ewma_arl(weight=weight, sigmas=width, shift=delta)
            row |= {
                f"lambda{weight}": arl,
                f"lambda_{weight}": arl,
                f"l{weight}": arl,
                f"L{width}": arl,
                "arl": arl,
            }
        rows.append(row)
    return {
        "rows": rows,
        "arl": [to.field(row, "arl") for row in rows],
        "arl0": to.field(to.first(rows), "arl"),
    }


def shewhart_arl(given: Given) -> Fields:
    options = given.options(sigmas=("L", "nsigmas", "k"))
    if given.has("phi", "ar1"):
        phis = given.need("phi", "ar1")
        listed = phis if isinstance(phis, list) else [phis]
        fixed: Fields = options
        found = [run_length.autocorrelated_arl(phi=phi, **fixed) for phi in listed]
        shrunk = [
            run_length.autocorrelated_arl(phi=phi, sigmas=to.shrunk(fixed.get("sigmas"), phi))
            for phi in listed
        ]
        rows = [
            {
                "phi": phi,
                "arl arl0 arl_true_sigma arl0_true_sigma": arl,
                "arl_mr_sigma arl0_mr_sigma": small,
                "false_alarm_per_point_mr": to.beyond(to.shrunk(fixed.get("sigmas"), phi)),
                "sigma_ratio": to.ratio(phi),
            }
            for phi, arl, small in zip(listed, found, shrunk, strict=True)
        ]
        return {
            "rows": rows,
            "arl arl0 arl_true_sigma": found,
            "arl_mr_sigma": shrunk,
        }
    sizes = given.get("n", default=None)
    listed_n = sizes if isinstance(sizes, list) else [sizes]
    rows = []
    for delta in given.need("delta", "shift"):
        row: Fields = {"delta": delta}
        for n in listed_n:
            arl = run_length.shewhart_arl(shift=delta, **({} if n is None else {"n": n}), **options)
            row |= {"arl": arl, f"n{n}": arl}
        rows.append(row)
    return {"rows": rows, "arl": [to.field(row, "arl") for row in rows]}


def chart_design(given: Given) -> Fields:
    fields: Fields = {}
    if (one := given.get("cusum")) is not None:
        fields["cusum_h"] = run_length.cusum_h(k=one["k"], arl0=one["arl0"])
    if (one := given.get("ewma")) is not None:
        fields["ewma_L"] = run_length.ewma_sigmas(weight=one["lambda"], arl0=one["arl0"])
    if (one := given.get("mewma")) is not None:
        fields["mewma_h"] = run_length.mewma_h(weight=one["lambda"], variables=one["p"], arl0=one["arl0"])
    if (one := given.get("shewhart")) is not None:
        fields["shewhart_L"] = run_length.shewhart_sigmas(arl0=one["arl0"])
    return fields
