"""Where a GenTL producer's library is. Loads none."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cameras.errors import ProducerMissing

INSTALL_GENICAM = 'pip install "lynceus[gige]"'
_BUILD_OURS = "apt-get install gcc libc6-dev make pkg-config libaravis-dev libusb-1.0-0-dev && make producer"

Producer = Path | Literal["simulated", "lynceus"]


def producer_file(producer: Producer) -> Path:
    """The `.cti` file of a producer. Raises ProducerMissing where there is none."""
    if producer == "lynceus":
        return our_producer(Path(__file__).with_name("gentl") / "build")
    if producer == "simulated":
        spec = find_spec("genicam")
        if spec is None or spec.origin is None:
            raise producer_fails(Path("viky.cti"), "the genicam package is not installed")
        path = Path(spec.origin).with_name("viky.cti")
    else:
        path = producer.expanduser().resolve()
    if not path.is_file():
        raise producer_fails(path, "there is no such file")
    return path


def our_producer(build: Path) -> Path:
    """The `.cti` file that `make producer` puts into its build folder. Raises ProducerMissing where it did not."""
    path = build / "lynceus.cti"
    if not path.is_file():
        raise producer_fails(path, "it is not built", install=_BUILD_OURS)
    return path


def producer_fails(path: Path, reason: str, *, install: str = INSTALL_GENICAM) -> ProducerMissing:
    return ProducerMissing(
        f"The camera library {path} cannot be used: {reason}.",
        action=f"Check the path, or run: {install}",
        producer=str(path),
        reason=reason,
        install=install,
    )
