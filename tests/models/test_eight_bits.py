"""Eight bits are added up rightly by every processor: this one, and an emulated one that has no VNNI."""

import platform
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from models import eight_bits
from models.eight_bits import SMALL, WEIGHT_BITS, eight_bits_overflow
from models.errors import ModelDrifted
from models.provider import CPU, OPENVINO
from models.reference import textured
from models.session import Session, providers
from models.store import ModelStore
from tests.models.networks import SIDE, a_model, in_eight_bits

CPUINFO = Path("/proc/cpuinfo")
EMULATOR = "qemu-x86_64"

without_vnni = pytest.mark.skipif(
    shutil.which(EMULATOR) is None or platform.machine() != "x86_64",
    reason=f"{EMULATOR} not installed (Debian: qemu-user), or no x86 to emulate",
)


SMALL_WEIGHTS = {"largest": 64, "told": {WEIGHT_BITS: SMALL}}


def what_is_told() -> str:
    """Whether eight bits overflow, and what networks of them say of a white picture (0.75 is right): one with the
    largest weights there are, and one whose weights take seven bits and which says so."""
    told = [str(eight_bits_overflow())]
    for network in (in_eight_bits(), in_eight_bits(**SMALL_WEIGHTS)):
        session = Session(a_model(network, ("pits",), task="maps"), provider=CPU)
        answer = session.run(np.ones((1, 3, SIDE, SIDE), np.float32))[0, 0, 1:-1, 1:-1]
        told += [f"{answer.min():.2f}", f"{answer.max():.2f}"]
    return " ".join(told)


@pytest.mark.skipif(
    not CPUINFO.exists() or platform.machine() != "x86_64", reason="no x86 that says what it can"
)
def test_a_processor_with_vnni_is_not_slowed_down_and_one_without_is_told():
    assert eight_bits_overflow() == ("vnni" not in CPUINFO.read_text())


def test_a_network_in_eight_bits_says_what_it_should():
    assert what_is_told() == f"{eight_bits_overflow()} 0.75 0.75 0.75 0.75"


@without_vnni
def test_a_network_in_eight_bits_says_the_same_where_they_would_overflow():
    """Intel's Haswell, emulated: it has AVX2 and nothing newer."""
    ask = "from tests.models.test_eight_bits import what_is_told; print(what_is_told())"
    assert emulated(ask) == "True 0.75 0.75 0.75 0.75"


@without_vnni
def test_a_network_that_wrongly_says_its_weights_are_small_overflows_there():
    """What the test above would tell, were sums not done exactly, or the faster way not taken for small weights."""
    ask = (
        "import numpy as np; from models.eight_bits import *; from models.session import Session; "
        "from tests.models.networks import *; "
        "network = in_eight_bits(told={WEIGHT_BITS: SMALL}); "
        "session = Session(a_model(network, ('pits',), task='maps')); "
        "print(session.run(np.ones((1, 3, SIDE, SIDE), np.float32))[0, 0, 1:-1, 1:-1].max())"
    )
    assert float(emulated(ask)) < 0.5


def what_the_line_is_told(version: str) -> str:
    """The answers of the network that lines run, by their digest, and how far OpenVINO is from them, or that it is
    refused."""
    model = ModelStore().find("strip-surface-int8", version)
    image = textured(model.card.input_hw)
    digest = sha256(Session(model, provider=CPU).run(image).tobytes()).hexdigest()
    try:
        Session(model, provider=OPENVINO)
    except ModelDrifted:
        return f"{digest} refused"
    return f"{digest} taken"


@without_vnni
@pytest.mark.skipif(OPENVINO not in providers(), reason='no OpenVINO; pip install "lynceus[openvino]"')
@pytest.mark.parametrize(("version", "in_openvino"), [("1.2.0", "refused"), ("1.2.2", "taken")])
def test_the_network_of_a_line_answers_to_the_bit_as_here_without_vnni(version, in_openvino):
    """The older one has weights of eight bits, which OpenVINO lets overflow there; the newer one of seven."""
    ask = f"from tests.models.test_eight_bits import *; print(what_the_line_is_told({version!r}))"
    digest, _ = what_the_line_is_told(version).split()
    assert emulated(ask) == f"{digest} {in_openvino}"


def emulated(ask: str) -> str:
    told = subprocess.run(
        [EMULATOR, "-cpu", "Haswell", sys.executable, "-c", ask],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return told.stdout.strip()


def test_what_asks_is_a_product_of_whole_numbers_as_onnx_writes_it():
    told = [
        helper.make_tensor_value_info("a", TensorProto.UINT8, [1, 64]),
        helper.make_tensor_value_info("b", TensorProto.INT8, [64, 16]),
    ]
    given = helper.make_tensor_value_info("y", TensorProto.INT32, [1, 16])
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    graph = helper.make_graph([node], "p", told, [given])
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert network.SerializeToString() == eight_bits._MULTIPLIES
