"""What a pass of each network of the box costs in onnxruntime and in OpenVINO, in turn on one core, and how far apart
their answers are.

PYTHONPATH=. python benchmarks/strip/runtimes.py
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from numpy.typing import NDArray

from models import ModelStore
from models.errors import ModelDrifted
from models.provider import CPU, OPENVINO
from models.reference import Reference, textured
from models.session import Session


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--passes", type=int, default=60)
    passes: int = parser.parse_args().passes
    store = ModelStore()
    print("| network | ms, onnxruntime | ms, OpenVINO | times as fast | answers apart by |")
    print("|---|---|---|---|---|")
    for name, versions in store.versions().items():
        model = store.find(name, versions[-1])
        image = textured(model.card.input_hw)
        try:
            sessions = [Session(model, provider=provider) for provider in (CPU, OPENVINO)]
        except ModelDrifted as error:
            alone = Session(model, provider=CPU)
            times = [_ms(alone, image) for _ in range(passes)]
            print(f"| {name} {versions[-1]} | {median(times):.2f} | refused | | {error.facts['by']} |")
            continue
        spent: list[list[float]] = [[], []]
        for _ in range(passes):
            for session, times in zip(sessions, spent, strict=True):
                times.append(_ms(session, image))
        ours, theirs = (median(times) for times in spent)
        told = Reference(image=image, answers=sessions[0].run_all(image), tolerance=0)
        apart = told.differs_by(sessions[1].run_all(image))
        print(f"| {name} {versions[-1]} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} | {apart:.1g} |")


def _ms(session: Session, image: NDArray[np.float32]) -> float:
    began = time.process_time()
    session.run_all(image)
    return 1e3 * (time.process_time() - began)


if __name__ == "__main__":
    main()
