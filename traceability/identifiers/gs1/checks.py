"""What the content of GS1 elements must be: one function for each check that `application_identifiers.txt` names.

Each takes a value and returns its first fault or None. Reasons are those of GS1's own linters, in lower case.
Source: GS1 General Specifications 25, 7.9 (check digits and pairs), 7.12 (dates); GS1 Barcode Syntax Dictionary.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from types import MappingProxyType
from typing import Literal

from traceability.identifiers.faults import Fault
from traceability.identifiers.gs1.code_lists import (
    COUNTRIES,
    COUNTRY_LETTERS,
    CURRENCIES,
    IBAN_COUNTRIES,
    MEDIA_TYPES,
    PACKAGE_TYPES,
)

Check = Callable[[str], Fault | None]

CSET39 = "#-/" + digits + ascii_uppercase
CSET64 = "-_" + digits + ascii_letters + "="
CSET82 = "!\"%&'()*+,-./" + digits + ":;<=>?" + ascii_uppercase + "_" + ascii_lowercase

# GS1 General Specifications 7.9.5: the characters of a check pair, without those that look alike.
_PAIR = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PAIR_MODULUS = 1021

_NO_DIGIT = "non_digit_character"

GcpAnswer = Literal["known", "unknown", "offline"]
"""What a register of company prefixes says."""


def _fault(index: int, reason: str, expected: str) -> Fault:
    return Fault(index=index, reason=reason, expected=expected)


def _only(value: str, allowed: str, reason: str, expected: str) -> Fault | None:
    for index, letter in enumerate(value):
        if letter not in allowed:
            return _fault(index, reason, expected)
    return None


def numeric(value: str) -> Fault | None:
    return _only(value, digits, _NO_DIGIT, "0-9")


def cset39(value: str) -> Fault | None:
    return _only(value, CSET39, "invalid_cset39_character", "0-9 A-Z # - /")


def cset64(value: str) -> Fault | None:
    """Base64url; at most two `=` at the end, and then whole groups of four."""
    fault = _only(value, CSET64, "invalid_cset64_character", "0-9 A-Z a-z - _ =")
    if fault is not None:
        return fault
    body = value.rstrip("=")
    if "=" in body:
        return _fault(body.index("="), "invalid_cset64_character", "0-9 A-Z a-z - _")
    padding = len(value) - len(body)
    if padding > 2 or (padding and len(value) % 4):
        return _fault(len(body), "invalid_cset64_padding", "=")
    return None


def cset82(value: str) -> Fault | None:
    return _only(
        value, CSET82, "invalid_cset82_character", "0-9 A-Z a-z ! \" % & ' ( ) * + , - . / : ; < = > ? _"
    )


def check_digit(payload: str) -> str:
    """The digit behind these: weights 3, 1, 3, … from the right, up to the next ten."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(payload)))
    return str(-total % 10)


def csum(value: str) -> Fault | None:
    if not value:
        return _fault(0, "too_short_for_check_digit", "0-9")
    fault = numeric(value)
    if fault is not None:
        return fault
    right = check_digit(value[:-1])
    return None if value[-1] == right else _fault(len(value) - 1, "incorrect_check_digit", right)


def _primes(count: int) -> tuple[int, ...]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return tuple(found)


# As many as GS1's own implementation takes characters.
_PAIR_WEIGHTS = _primes(97)


def check_pair(payload: str) -> str:
    """The two characters behind these: places in CSET 82 weighted with primes from the right, modulo 1021."""
    total = sum(
        CSET82.index(letter) * weight
        for letter, weight in zip(reversed(payload), _PAIR_WEIGHTS, strict=False)
    )
    total %= _PAIR_MODULUS
    return _PAIR[total >> 5] + _PAIR[total & 31]


def csumalpha(value: str) -> Fault | None:
    if len(value) < 2:
        return _fault(len(value), "too_short_for_check_pair", "2–9 A-Z")
    if len(value) > len(_PAIR_WEIGHTS) + 2:
        return _fault(
            len(_PAIR_WEIGHTS) + 2, "too_long_for_check_pair_implementation", f"≤ {len(_PAIR_WEIGHTS) + 2}"
        )
    fault = cset82(value[:-2])
    if fault is not None:
        return fault
    for index, letter in enumerate(value[-2:], len(value) - 2):
        if letter not in CSET82:
            return _fault(index, "invalid_cset82_character", "2–9 A-Z")
    right = check_pair(value[:-2])
    return None if value[-2:] == right else _fault(len(value) - 2, "incorrect_check_pair", right)


def gcppos1(value: str, register: Callable[[str], GcpAnswer] | None = None) -> Fault | None:
    """A company prefix in front. It is looked up where a register is given; without, four digits must be there."""
    for index in range(4):
        if index >= len(value):
            return _fault(index, "too_short_for_gcp", "0-9")
        if value[index] not in digits:
            return _fault(0, "invalid_gcp_prefix", "0-9")
    answer = "known" if register is None else register(value)
    if answer == "known":
        return None
    reason = "invalid_gcp_prefix" if answer == "unknown" else "gcp_datasource_offline"
    return _fault(0, reason, "GS1 Company Prefix")


def gcppos2(value: str, register: Callable[[str], GcpAnswer] | None = None) -> Fault | None:
    """A company prefix behind the first character."""
    if not value:
        return _fault(0, "too_short_for_gcp", "0-9")
    fault = gcppos1(value[1:], register)
    return None if fault is None else fault.moved(1)


def _date(value: str, year_digits: int, *, day_may_be_zero: bool) -> Fault | None:
    length = year_digits + 4
    if len(value) != length:
        short = len(value) < length
        return _fault(
            min(len(value), length), "date_too_short" if short else "date_too_long", f"{length} × 0-9"
        )
    fault = numeric(value)
    if fault is not None:
        return fault
    # A year of two digits lies in 1951 … 2050: each that four divides is a leap year, 2000 too.
    year = int(value[:year_digits]) + (2000 if year_digits == 2 else 0)
    month, day = int(value[-4:-2]), int(value[-2:])
    if not 1 <= month <= 12:
        return _fault(year_digits, "illegal_month", "01–12")
    last = 29 if month == 2 and _is_leap(year) else monthrange(2001, month)[1]
    first = 0 if day_may_be_zero else 1
    if not first <= day <= last:
        return _fault(year_digits + 2, "illegal_day", f"{first:02}–{last}")
    return None


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def yymmdd(value: str) -> Fault | None:
    return _date(value, 2, day_may_be_zero=False)


def yymmd0(value: str) -> Fault | None:
    return _date(value, 2, day_may_be_zero=True)


def yyyymmdd(value: str) -> Fault | None:
    return _date(value, 4, day_may_be_zero=False)


def yyyymmd0(value: str) -> Fault | None:
    return _date(value, 4, day_may_be_zero=True)


def _clock(value: str, parts: tuple[tuple[str, int], ...]) -> Fault | None:
    length = 2 * len(parts)
    if len(value) != length:
        size = "short" if len(value) < length else "long"
        return _fault(min(len(value), length), f"time_too_{size}", f"{length} × 0-9")
    fault = numeric(value)
    if fault is not None:
        return fault
    for place, (part, highest) in enumerate(parts):
        if int(value[2 * place : 2 * place + 2]) > highest:
            return _fault(2 * place, f"illegal_{part}", f"00–{highest}")
    return None


def hh(value: str) -> Fault | None:
    return _clock(value, (("hour", 23),))


def mi(value: str) -> Fault | None:
    return _clock(value, (("minute", 59),))


def ss(value: str) -> Fault | None:
    return _clock(value, (("second", 59),))


def hhmi(value: str) -> Fault | None:
    return _clock(value, (("hour", 23), ("minute", 59)))


def _listed(value: str, known: frozenset[str], reason: str, expected: str) -> Fault | None:
    return None if value in known else _fault(0, reason, expected)


def iso3166(value: str) -> Fault | None:
    return _listed(value, COUNTRIES, "not_iso3166", "ISO 3166 (156, 276, 840 …)")


def iso3166999(value: str) -> Fault | None:
    return _listed(value, COUNTRIES | {"999"}, "not_iso3166_or_999", "ISO 3166 (156, 276, 840 …), 999")


def iso3166alpha2(value: str) -> Fault | None:
    return _listed(value, COUNTRY_LETTERS, "not_iso3166_alpha2", "ISO 3166 (CN, DE, US …)")


def iso4217(value: str) -> Fault | None:
    return _listed(value, CURRENCIES, "not_iso4217", "ISO 4217 (156, 840, 978 …)")


def iso5218(value: str) -> Fault | None:
    return _listed(value, frozenset("0129"), "invalid_biological_sex_code", "0 1 2 9")


def packagetype(value: str) -> Fault | None:
    return _listed(value, PACKAGE_TYPES, "invalid_package_type", "UN/ECE Rec. 21 (BX, CT, PX …)")


def mediatype(value: str) -> Fault | None:
    return _listed(value, MEDIA_TYPES, "invalid_media_type", "01–10 80–99")


def winding(value: str) -> Fault | None:
    return _listed(value, frozenset("019"), "invalid_winding_direction", "0 1 9")


def yesno(value: str) -> Fault | None:
    return _listed(value, frozenset("01"), "not_zero_or_one", "0 1")


def zero(value: str) -> Fault | None:
    return _only(value, "0", "not_zero", "0")


def nonzero(value: str) -> Fault | None:
    fault = numeric(value)
    if fault is not None:
        return fault
    return _fault(0, "illegal_zero_value", "≥ 1") if not value.strip("0") else None


def nozeroprefix(value: str) -> Fault | None:
    """No leading zero, but one zero alone."""
    return _fault(0, "illegal_zero_prefix", "1-9") if value.startswith("0") and value != "0" else None


def hasnondigit(value: str) -> Fault | None:
    has = any(letter not in digits for letter in value)
    return None if has else _fault(0, "requires_non_digit_character", "A-Z a-z …")


def hyphen(value: str) -> Fault | None:
    return _only(value, "-", "not_hyphen", "-")


def importeridx(value: str) -> Fault | None:
    allowed = digits + ascii_letters + "-_"
    if len(value) != 1:
        return _fault(min(len(value), 1), "importer_idx_must_be_one_character", "1")
    return _only(value, allowed, "invalid_import_idx", "0-9 A-Z a-z - _")


def pcenc(value: str) -> Fault | None:
    """Percent signs begin an escape of two hexadecimal digits."""
    for found in re.finditer("%(?![0-9A-Fa-f]{2})", value):
        return _fault(found.start(), "invalid_percent_sequence", "%00–%FF")
    return None


def _degrees(value: str, length: int, highest: int, reason: str) -> Fault | None:
    fault = numeric(value)
    if fault is not None:
        return fault
    if len(value) != length:
        return _fault(min(len(value), length), "coordinate_length", f"{length} × 0-9")
    return _fault(0, f"invalid_{reason}", f"≤ {highest}") if int(value) > highest else None


def latitude(value: str) -> Fault | None:
    """Ten-millionths of a degree from the south pole."""
    return _degrees(value, 10, 1_800_000_000, "latitude")


def longitude(value: str) -> Fault | None:
    """Ten-millionths of a degree, eastwards round the globe."""
    return _degrees(value, 10, 3_600_000_000, "longitude")


def pieceoftotal(value: str) -> Fault | None:
    """Piece number and how many there are, in as many digits each."""
    if not value or len(value) % 2:
        return _fault(len(value), "invalid_length_for_piece_of_total", "2 4 6 …")
    fault = numeric(value)
    if fault is not None:
        return fault
    half = len(value) // 2
    piece, total = int(value[:half]), int(value[half:])
    if piece == 0:
        return _fault(0, "zero_piece_number", f"{1:0{half}}")
    if total == 0:
        return _fault(half, "zero_total_pieces", f"{piece:0{half}}")
    return None if piece <= total else _fault(0, "piece_number_exceeds_total", f"≤ {total}")


def posinseqslash(value: str) -> Fault | None:
    """Place in a sequence, `1/3`."""
    found = re.fullmatch("([0-9]+)/([0-9]+)", value)
    if found is None:
        return _fault(0, "position_in_sequence_malformed", "1/2")
    place, end = found.groups()
    for index, number in ((0, place), (found.start(2), end)):
        if number.startswith("0"):
            return _fault(index, "illegal_zero_prefix", "1-9")
    return None if int(place) <= int(end) else _fault(0, "position_exceeds_end", f"≤ {end}")


def iban(value: str) -> Fault | None:
    """Country, two check digits, account; ISO 13616: rearranged and in numbers, 1 modulo 97."""
    if len(value) <= 10:
        return _fault(len(value), "iban_too_short", "> 10")
    fault = _only(value, digits + ascii_uppercase, "invalid_iban_character", "0-9 A-Z")
    if fault is not None:
        return fault
    if value[:2] not in IBAN_COUNTRIES:
        return _fault(0, "illegal_iban_country_code", "ISO 13616 (DE, FR, GB …)")
    number = int("".join(str(int(letter, 36)) for letter in value[4:] + value[:4]))
    return None if number % 97 == 1 else _fault(2, "incorrect_iban_checksum", "0-9")


def _fields(value: str, fields: Sequence[tuple[str, int]]) -> tuple[int, Fault | None]:
    """Where the fields end. Each is (digits that may say how much longer than this it is, this)."""
    place = 0
    for lengths, length in fields:
        longer = 0
        if lengths:
            if value[place : place + 1] not in lengths or place == len(value):
                return place, _fault(place, "coupon_malformed", f"{lengths[0]}–{lengths[-1]}")
            longer = int(value[place])
            place += 1
        if len(value) < place + length + longer:
            return place, _fault(len(value), "coupon_malformed", f"{length + longer} × 0-9")
        place += length + longer
    return place, None


def couponposoffer(value: str) -> Fault | None:
    """North American coupon, positive offer file: format, funder, offer code and serial number."""
    fault = numeric(value)
    if fault is not None:
        return fault
    if value[:1] not in ("0", "1"):
        return _fault(0, "coupon_malformed", "0 1")
    end, fault = _fields(value[1:], (("0123456", 6), ("", 6), (digits, 6)))
    if fault is not None:
        return fault.moved(1)
    return None if end + 1 == len(value) else _fault(end + 1, "coupon_malformed", f"≤ {end + 1}")


def couponcode(value: str) -> Fault | None:
    """North American coupon, first form: company, offer, value, what must be bought, of which family. Its optional
    fields, nothing that a factory marks, are held to be digits and no more."""
    fault = numeric(value)
    if fault is not None:
        return fault
    end, fault = _fields(value, (("0123456", 6), ("", 6), ("12345", 0), ("12345", 0), ("", 4)))
    if fault is None and value[end - 4] not in "012349":
        fault = _fault(end - 4, "coupon_malformed", "0–4 9")
    return fault


CHARACTER_SETS: Mapping[str, Check] = MappingProxyType({"N": numeric, "X": cset82, "Y": cset39, "Z": cset64})

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            couponcode, couponposoffer, csum, csumalpha, gcppos1, gcppos2, hasnondigit, hh, hhmi, hyphen, iban,
            importeridx, iso3166, iso3166999, iso3166alpha2, iso4217, iso5218, latitude, longitude, mediatype, mi,
            nonzero, nozeroprefix, packagetype, pcenc, pieceoftotal, posinseqslash, ss, winding, yesno, yymmd0,
            yymmdd, yyyymmd0, yyyymmdd, zero,
        )
    }
)  # fmt: skip
"""The checks that the table of identifiers names."""
