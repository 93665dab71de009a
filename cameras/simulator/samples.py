"""A probe of our own: sends samples over the network as `cameras.samples` reads them, at their own pace.

PYTHONPATH=. python -m cameras.simulator.samples FILE.wav --to 127.0.0.1:9300 [--repeat]
"""

from __future__ import annotations

import argparse
import socket
import time
import wave
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cameras.samples import MOST_SAMPLES, Datagram


def send(
    samples: NDArray[np.int16],
    *,
    to: tuple[str, int],
    sample_hz: int,
    first: int = 0,
    lost: Collection[int] = (),
    faster: float = 1.0,
) -> None:
    """Send them in datagrams of MOST_SAMPLES.

    first   number of the first sample
    lost    datagrams, counted from 0, that do not arrive
    faster  than a probe would
    """
    began_s = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        for number, start in enumerate(range(0, len(samples), MOST_SAMPLES)):
            ahead_s = began_s + start / sample_hz / faster - time.monotonic()
            if ahead_s > 0.002:
                time.sleep(ahead_s)
            if number not in lost:
                datagram = Datagram(
                    sample_hz=sample_hz, first=first + start, samples=samples[start : start + MOST_SAMPLES]
                )
                sending.sendto(datagram.to_bytes(), to)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--to", default="127.0.0.1:9300")
    parser.add_argument("--repeat", action="store_true")
    given = parser.parse_args()
    host, _, port = given.to.rpartition(":")
    with wave.open(str(given.file)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            parser.error("one channel of 16 bits is sent")
        sample_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    first = 0
    while True:
        send(samples, to=(host, int(port)), sample_hz=sample_hz, first=first)
        first += len(samples)
        if not given.repeat:
            break


if __name__ == "__main__":
    main()
