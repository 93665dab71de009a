"""How many real codes are read, per set, and how long that takes.

PYTHONPATH=. python benchmarks/parts/codes.py [--shared ../shared]

`raw` is zxing-cpp on the picture as it is, `read` is `read_codes`. `right`: one of the codes read has the content the
set gives; `other`: something else was read, or something where nothing is to be read (falsepositives).
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import zxingcpp

from inspection.vision.codes import KINDS, Code, CodeKind, read_codes

FORMATS = {
    "datamatrix": zxingcpp.BarcodeFormat.DataMatrix,
    "qr": zxingcpp.BarcodeFormat.QRCode,
    "code128": zxingcpp.BarcodeFormat.Code128,
}
SETS: dict[str, tuple[CodeKind, ...]] = {
    "datamatrix": ("datamatrix",),
    "qrcode": ("qr",),
    "code128": ("code128",),
    "falsepositives": KINDS,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    data = parser.parse_args().shared / "data"
    cv2.setNumThreads(1)
    print("set                   pictures   raw  read  right  other  ms median  ms max")
    report("codes_dpm", ("datamatrix",), part_marks(data / "codes_dpm"))
    for folder in sorted((data / "codes_zxing").iterdir()):
        for start, kinds in SETS.items():
            if folder.name.startswith(start):
                report(folder.name, kinds, samples(folder))


def report(name: str, kinds: tuple[CodeKind, ...], pictures: Iterator[tuple[Path, bytes | None]]) -> None:
    count = raw = read = right = 0
    took_ms = []
    for file, content in pictures:
        decoded = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_GRAYSCALE)
        if decoded is None:
            continue
        grey = np.asarray(decoded, np.uint8)
        formats = zxingcpp.BarcodeFormats([FORMATS[kind] for kind in kinds])
        raw += bool(zxingcpp.read_barcodes(grey, formats=formats))
        began = time.process_time()
        codes = read_codes(grey, kinds)
        took_ms.append((time.process_time() - began) * 1e3)
        count, read = count + 1, read + bool(codes)
        right += content is not None and any(says(code, content) for code in codes)
    figures = f"{count:8} {raw:5} {read:5} {right:6} {read - right:6}"
    print(f"{name:20} {figures} {np.median(took_ms):10.0f} {max(took_ms):7.0f}")


def says(code: Code, content: bytes) -> bool:
    return content in (code.content, code.text.encode())


def part_marks(folder: Path) -> Iterator[tuple[Path, bytes | None]]:
    with (folder / "ground_truth.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            yield folder / "images" / row["file"], row["content"].encode()


def samples(folder: Path) -> Iterator[tuple[Path, bytes | None]]:
    for file in sorted(folder.iterdir()):
        if file.suffix in (".png", ".webp", ".jpg"):
            truths = [
                other for other in (file.with_suffix(".txt"), file.with_suffix(".bin")) if other.exists()
            ]
            yield file, truths[0].read_bytes() if truths else None


if __name__ == "__main__":
    main()
