#!/usr/bin/env python3
"""Checks a certificate of inspection, alone: this one file, Python 3.9 or later, and the package `cryptography`.

    python verifier.py certificate.json --key PUBLIC_KEY_HEX [--picture FILE]
    python verifier.py certificate.pdf  ...

It trusts nothing but the key you give it. Ask the maker for the key once, by another way than the certificate's.

What is checked, and by which text:
  record   its canonical JSON (RFC 8785) gives the leaf: H(0x00 || bytes)                 RFC 9162, 2.1.1
  proof    leaf and proof give the root of the head                                        RFC 9162, 2.1.3.2
  head     the maker's Ed25519 signature over the head's canonical JSON                    RFC 8032
  unit     which of its codes proven records carry; what is in none of them is said to be not proven
  picture  its SHA-256 is named by a record
H is SHA-256 or SM3 (GB/T 32905), as the head says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# ------------------------------------------------------------------ canonical JSON, RFC 8785

LARGEST_INTEGER = 2**53 - 1

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile('["\\\\\x00-\x1f]')


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value. Raises ValueError for what has none: NaN, integers that spell no double."""
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts).encode("utf-8")


def _write(value: Any, put: Callable[[str], Any]) -> None:
    if value is None or isinstance(value, bool):
        put({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, str):
        put(_text(value))
    elif isinstance(value, (int, float)):
        put(_number(value))
    elif isinstance(value, dict):
        put("{")
        # By UTF-16 code units, as the RFC asks; they differ from code points beyond the basic plane.
        for index, key in enumerate(sorted(value, key=_by_utf_16)):
            put(("," if index else "") + _text(key) + ":")
            _write(value[key], put)
        put("}")
    elif isinstance(value, (list, tuple)):
        put("[")
        for index, one in enumerate(value):
            if index:
                put(",")
            _write(one, put)
        put("]")
    else:
        raise ValueError(f"{type(value).__name__} is no JSON")


def _by_utf_16(name: Any) -> bytes:
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is no name in JSON")
    return name.encode("utf-16-be", "surrogatepass")


def _text(text: str) -> str:
    return '"' + _ESCAPED.sub(lambda one: _ESCAPES.get(one[0]) or f"\\u{ord(one[0]):04x}", text) + '"'


def _number(value: float) -> str:
    """As ECMAScript writes it (Number::toString): the shortest digits that give the number back."""
    if isinstance(value, int):
        if abs(value) <= LARGEST_INTEGER:
            return str(value)
        # Numbers of JSON are doubles: a larger integer is taken where it is how the double is spelled.
        spelled = "" if abs(value) > sys.float_info.max else _number(float(value))
        if spelled != str(value):
            raise ValueError(f"{value} is beyond 2^53 - 1")
        return spelled
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number in JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    # Python's repr has the same shortest digits; only where the point and the exponent stand differs.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, part = mantissa.partition(".")
    part = "" if part == "0" else part
    digits = (whole + part).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + part) - len(digits))
    digits = digits.rstrip("0")
    n = len(digits)
    if n <= point <= 21:
        return sign + digits + "0" * (point - n)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + ("." + digits[1:] if n > 1 else "") + power


# ------------------------------------------------------------------ Merkle tree, RFC 9162

HASHES = ("sha256", "sm3")
HASH_BYTES = 32


class NotProven(Exception):
    """What does not follow, in one sentence."""


def digest(algorithm: str, data: bytes) -> bytes:
    """SHA-256, or SM3 of GB/T 32905-2016. Raises ValueError for another."""
    if algorithm == "sha256":
        return hashlib.sha256(data).digest()
    if algorithm != "sm3":
        raise ValueError(f"no hash {algorithm!r}; there are {', '.join(HASHES)}")
    if "sm3" in hashlib.algorithms_available:
        return hashlib.new("sm3", data).digest()
    from cryptography.hazmat.primitives import hashes

    sm3 = hashes.Hash(hashes.SM3())
    sm3.update(data)
    return sm3.finalize()


def leaf_hash(data: bytes, algorithm: str = "sha256") -> bytes:
    return digest(algorithm, b"\x00" + data)


def node_hash(left: bytes, right: bytes, algorithm: str = "sha256") -> bytes:
    return digest(algorithm, b"\x01" + left + right)


def prove_inclusion(
    *,
    index: int,
    size: int,
    leaf: bytes,
    proof: Sequence[bytes],
    root: bytes,
    algorithm: str = "sha256",
) -> None:
    """RFC 9162, 2.1.3.2. Raises NotProven."""
    _need_hashes(leaf, root, *proof)
    if not 0 <= index < size:
        raise NotProven(f"leaf {index} is in no tree of {size}")
    fn, sn, found = index, size - 1, leaf
    for step in proof:
        if sn == 0:
            raise NotProven("the proof is too long")
        if fn & 1 or fn == sn:
            found = node_hash(step, found, algorithm)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, step, algorithm)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise NotProven("the proof is too short")
    if found != root:
        raise NotProven("leaf and proof do not give the root")


def prove_consistency(
    *, size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes], algorithm: str = "sha256"
) -> None:
    """That the first tree is a beginning of the second: RFC 9162, 2.1.4.2. Raises NotProven.

    An empty first tree is refused: it is a beginning of every tree, which proves nothing of either.
    """
    _need_hashes(root1, root2, *proof)
    if not 0 < size1 <= size2:
        raise NotProven(f"a tree of {size1} is no beginning of one of {size2}")
    if size1 == size2:
        if proof:
            raise NotProven("two trees of one size need no proof, and there is one")
        if root1 != root2:
            raise NotProven("two trees of one size differ")
        return
    if not proof:
        raise NotProven("the proof is too short")
    path = list(proof)
    if size1 & (size1 - 1) == 0:  # a whole subtree: its root is the first step
        path.insert(0, root1)
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for step in path[1:]:
        if sn == 0:
            raise NotProven("the proof is too long")
        if fn & 1 or fn == sn:
            first, second = node_hash(step, first, algorithm), node_hash(step, second, algorithm)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node_hash(second, step, algorithm)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise NotProven("the proof is too short")
    if first != root1:
        raise NotProven("the proof does not give the first root")
    if second != root2:
        raise NotProven("the proof does not give the second root")


def _need_hashes(*hashes: bytes) -> None:
    for one in hashes:
        if len(one) != HASH_BYTES:
            raise NotProven(f"a hash of {len(one)} bytes, not {HASH_BYTES}")


# ------------------------------------------------------------------ heads and certificates

FORMAT = "lynceus-certificate/1"


def record_leaf(kind: str, record: Any, algorithm: str) -> bytes:
    """The leaf of a record, as the ledger keeps it."""
    return leaf_hash(canonical({"kind": kind, "record": record}), algorithm)


def prove_head(head: dict[str, Any], key: bytes) -> None:
    """That the holder of the key signed this head. Raises NotProven."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if head.get("key") != key.hex():
        raise NotProven(f"the head names the key {head.get('key')}, not {key.hex()}")
    signed = {name: value for name, value in head.items() if name != "signature"}
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(head["signature"]), canonical(signed))
    except (InvalidSignature, ValueError, KeyError, TypeError) as error:
        raise NotProven("the head's signature is not that of the key") from error


def prove_certificate(certificate: dict[str, Any], key: bytes) -> list[str]:
    """What the certificate proves, in lines of text. Raises NotProven for the first thing that does not follow."""
    try:
        if certificate["format"] != FORMAT:
            raise NotProven(f"the format is {certificate['format']!r}, this verifier knows {FORMAT!r}")
        head, codes = certificate["head"], certificate["unit"]["codes"]
        prove_head(head, key)
        algorithm, size, root = head["algorithm"], head["size"], bytes.fromhex(head["root"])
        told = [f"head    {size} records of {head['origin']} at {head['time']}, {algorithm}, signature good"]
        if not certificate["records"]:
            raise NotProven("there is no record")
        corrections = corrections_of(certificate["records"])
        for entry in certificate["records"]:
            kind, record, position = entry["kind"], entry["record"], entry["position"]
            try:
                prove_inclusion(
                    index=position,
                    size=size,
                    leaf=record_leaf(kind, record, algorithm),
                    proof=[bytes.fromhex(step) for step in entry["proof"]],
                    root=root,
                    algorithm=algorithm,
                )
            except NotProven as error:
                raise NotProven(f"{kind} {record.get('id')} at {position}: {error}") from error
            if kind in ("inspection", "unit_form") and not _is_among(record["unit"], codes):
                raise NotProven(f"{kind} {record.get('id')} is of {record['unit']['canon']}, another unit")
            told.append(_told(kind, record, position, corrections.get((kind, record.get("id")))))
        told[1:1] = _codes_told(codes, certificate["records"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotProven(f"the certificate is incomplete or misshapen: {error!r}") from error
    return told


def corrections_of(records: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The corrections among the records, by kind and id of what each takes back: that stays on record, and is void."""
    made = [one["record"] for one in records if one["kind"] == "correction"]
    return {(one["kind"], one["record"]): one for one in made}


def _codes_told(codes: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]) -> list[str]:
    """Which codes of the unit proven records carry. Raises NotProven where none does.

    The list of codes is under no signature: whoever adds one to it would else have it called proven. A link carries
    its child; where that is the parent of another link, it is what the unit was made from, and not the unit. A link
    that was taken back makes nobody a parent: of two that were linked the wrong way round first, the child is the unit.
    """
    links = [one["record"] for one in records if one["kind"] == "link"]
    voided = corrections_of(records)
    used_up = [
        link["parent"]
        for link in links
        if not _is_same(link["parent"], link["child"]) and ("link", link["id"]) not in voided
    ]
    carried = [one["record"]["unit"] for one in records if one["kind"] in ("inspection", "unit_form")]
    carried += [link["child"] for link in links if not _is_among(link["child"], used_up)]
    proven = [code["canon"] for code in codes if _is_among(code, carried)]
    if not proven:
        raise NotProven("no record is of this unit")
    told = [f"unit    {', '.join(map(_shown, proven))}"]
    if len(proven) > 1:
        told.append("        that these codes are of one unit is the maker's word, not proven here")
    return told + [
        f"code    {_shown(code['canon'])}: not proven, no record here carries it"
        for code in codes
        if not _is_among(code, carried)
    ]


def _shown(text: str) -> str:
    """Without line ends and the like: a code that nobody signed could else write lines of its own below ours."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _is_among(code: dict[str, Any], codes: Sequence[dict[str, Any]]) -> bool:
    return any(_is_same(code, other) for other in codes)


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["scheme"], one["canon"]) == (other["scheme"], other["canon"])


def _told(kind: str, record: dict[str, Any], position: int, correction: dict[str, Any] | None) -> str:
    line = f"record  {kind} {record.get('id')}"
    if "unit" in record:
        line += f" of {_shown(record['unit']['canon'])}"
    if kind == "link":
        line += f" of {_shown(record['child']['canon'])} from {_shown(record['parent']['canon'])}"
    line += f" at {position}: proven"
    if kind == "inspection":
        line += f"; {record['verdict']}, {len(record['defects'])} defects, finished {record['finished_at']}"
    if kind == "correction":
        line += f"; voids {record['kind']} {record['record']}"
    if correction is not None:
        line += f"; VOIDED by correction {correction['id']} ({_shown(correction['reason'])})"
    return line


def certificate_in(data: bytes) -> dict[str, Any]:
    """The certificate of a JSON file, or the one attached to a PDF. Raises NotProven."""
    text = data
    if data.startswith(b"%PDF-"):
        # It is attached as it is, not compressed, so that it can be found without a PDF library.
        found = re.search(rb"stream\r?\n(\{\"format\":.*?\})\r?\nendstream", data, re.DOTALL)
        start = data.find(b'{"format":') if found is None else found.start(1)
        if start < 0:
            raise NotProven("no certificate is attached to this PDF")
        end = data.find(b"endstream", start)
        text = data[start:end].strip()
    try:
        certificate = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotProven(f"this is no JSON: {error}") from error
    if not isinstance(certificate, dict):
        raise NotProven("this is no certificate")
    return certificate


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("certificate", type=Path)
    parser.add_argument("--key", help="the maker's public key, 64 hexadecimal digits")
    parser.add_argument("--picture", type=Path, action="append", default=[], help="a picture it must name")
    asked = parser.parse_args(arguments)
    try:
        certificate = certificate_in(asked.certificate.read_bytes())
        key = asked.key or str(certificate.get("head", {}).get("key"))
        if not re.fullmatch("[0-9a-fA-F]{64}", key):
            raise NotProven("the key is not 64 hexadecimal digits")
        for line in prove_certificate(certificate, bytes.fromhex(key)):
            print(line)  # noqa: T201
        named = {
            picture["sha256"]
            for entry in certificate["records"]
            for picture in entry["record"].get("pictures", ())
        }
        for file in asked.picture:
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            if sha256 not in named:
                raise NotProven(f"{file} is none of the pictures of this unit")
            print(f"picture {file} is the one that was seen")  # noqa: T201
    except NotProven as error:
        print(f"NOT PROVEN: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        print(f"NOT READ: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if not asked.key:
        print(f"PROVEN, if this is the maker's key: {key}")  # noqa: T201
        print("        Give it with --key once you have it from the maker by another way.")  # noqa: T201
        return 0
    print("PROVEN")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
