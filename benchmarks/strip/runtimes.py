"""What a pass of each network of the box costs in onnxruntime and in OpenVINO, in turn on one core, and how far apart
their answers are.

PYTHONPATH=. python benchmarks/strip/runtimes.py
"""

from __future__ import annotations

import argparse
import time
from statistics import median

from models import ModelStore
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
        sessions = [Session(model, provider=provider) for provider in (CPU, OPENVINO)]
        spent: list[list[float]] = [[], []]
        for _ in range(passes):
            for session, times in zip(sessions, spent, strict=True):
                began = time.process_time()
                session.run_all(image)
                times.append(1e3 * (time.process_time() - began))
        ours, theirs = (median(times) for times in spent)
        told = Reference(image=image, answers=sessions[0].run_all(image), tolerance=0)
        apart = told.differs_by(sessions[1].run_all(image))
        print(f"| {name} {versions[-1]} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} | {apart:.1g} |")


if __name__ == "__main__":
    main()
