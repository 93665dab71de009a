"""Trains a box detector from nothing but pictures.

    python -m models.training.train strip|part|metal

The only file that knows ultralytics (AGPL-3.0, a tool of the training desk). What it costs and why it is set
up as it is: docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.eight_bits import WEIGHT_BITS
from models.store import ModelStore
from models.training.dataset import TrainingSet, make_metal_set, make_part_set, make_strip_set
from models.training.decoding import shortened
from models.training.going_on import begin_with, keep_norms
from models.training.precision import autocast

VALIDATED_EPOCHS = 25
REPOSITORY = Path(__file__).resolve().parents[2]

STATED = ("names", "license", WEIGHT_BITS)
"""What a network may say of itself beside its graph: who loads it holds its card to it, and adds up accordingly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one model is trained. Sizes in px; what is not said here is ultralytics' default.

    network        ultralytics' description of it
    rectified      its activations are ReLU, not what the description says: in int8 a convolution does that in
                   passing, where SiLU takes half as long as all convolutions
    batch          pictures at a time
    per_step       pictures for a step of the optimizer
    patience       epochs without a better one by the list that chooses, after which it ends; 0: it never does
    warmup_epochs  over which the rate comes up from nothing
    begins_with    name and version of the released network whose weights it goes on from; None: from nothing
    """

    input_px: int
    epochs: int
    seed: int
    network: str = "yolo11n.yaml"
    rectified: bool = False
    batch: int = 16
    per_step: int = 64
    patience: int = 0
    warmup_epochs: float = 3.0
    begins_with: tuple[str, str] | None = None
    learning_rate: float = 0.002
    weight_decay: float = 0.0005
    augment: Mapping[str, float] = field(default_factory=dict)


# Steel has no up or down and no left or right; its grain has one size, so it is scaled little. Mosaic
# ends early enough for the network to learn whole tiles, which are what it will see.
STRIP = Plan(
    input_px=224,
    epochs=80,
    seed=0,
    network="yolov8n.yaml",
    rectified=True,
    per_step=16,
    learning_rate=0.001,
    weight_decay=0.01,
    augment={
        "fliplr": 0.5,
        "flipud": 0.5,
        "hsv_h": 0.0,
        "hsv_s": 0.0,
        "hsv_v": 0.35,
        "scale": 0.35,
        "translate": 0.1,
        "mosaic": 1.0,
        "close_mosaic": 25,
    },
)

# Goes on in short steps, beside five times as many defect-free patches, with whole tiles from the start.
QUIETER = replace(
    STRIP,
    epochs=10,
    seed=2,
    warmup_epochs=0.5,
    learning_rate=0.00004,
    augment={**STRIP.augment, "mosaic": 0.0, "close_mosaic": 0},
)

PLANS = {
    "strip": STRIP,
    "strip-quiet": replace(QUIETER, begins_with=("strip-surface", "1.2.0")),
    "strip-quiet-11": replace(
        QUIETER, network="yolo11n.yaml", rectified=False, begins_with=("strip-surface", "1.1.0")
    ),
    # A part is seen whole and in one pose; four quarters of parts in one picture are nothing it will meet.
    "part": replace(
        STRIP,
        input_px=256,
        epochs=30,
        augment={
            "fliplr": 0.5,
            "flipud": 0.5,
            "hsv_h": 0.0,
            "hsv_s": 0.0,
            "hsv_v": 0.3,
            "scale": 0.15,
            "translate": 0.05,
            "mosaic": 0.0,
        },
    ),
    # Real parts under several lamps, with defects of a few px: larger input, more light and dark, little scaling.
    "metal": Plan(
        input_px=320,
        epochs=80,
        seed=0,
        augment={
            "fliplr": 0.5,
            "flipud": 0.5,
            "hsv_h": 0.0,
            "hsv_s": 0.0,
            "hsv_v": 0.4,
            "scale": 0.3,
            "translate": 0.1,
            "mosaic": 0.3,
            "close_mosaic": 20,
        },
    ),
}


def train(name: str, *, neu: Path, folder: Path, threads: int) -> Path:
    """Train `name` and return its weights. Continues what was interrupted.

    neu      NEU-DET with its lists, for the strip; for metal, magnetic_tile and bsdata beside it
    folder   of this run: data/, weights/, results.csv, run.json
    """
    if not _last(folder).exists():
        make_set(name, neu=neu, folder=folder / "data")
    return fit(PLANS[name], folder=folder, threads=threads)


def fit(plan: Plan, *, folder: Path, threads: int, each_epoch: Callable[[Any], None] | None = None) -> Path:
    """The weights of the set in `folder`/data, see `weights_of`. Continues what was interrupted in that folder.

    each_epoch   called with ultralytics' trainer when an epoch is over; its `stop` says that it was the last
    """
    last = _last(folder)
    resumed = last.exists()
    network = load_network(last if resumed else _described(plan, folder))
    _make_it_fast(network, threads)
    _validate_late(network)
    if plan.begins_with is not None:
        _go_on(network, plan.begins_with, resumed=resumed)
    if each_epoch is not None:
        network.add_callback("on_fit_epoch_end", _until_the_last(each_epoch))
    began = time.monotonic()
    network.train(
        data=str(folder / "data" / "data.yaml"),
        resume=resumed,
        project=str(folder.parent),
        name=folder.name,
        exist_ok=True,
        imgsz=plan.input_px,
        epochs=plan.epochs,
        batch=plan.batch,
        nbs=plan.per_step,
        seed=plan.seed,
        optimizer="AdamW",
        lr0=plan.learning_rate,
        weight_decay=plan.weight_decay,
        warmup_epochs=plan.warmup_epochs,
        # Ultralytics would first raise the rate of the offsets a hundredfold.
        warmup_bias_lr=0.0,
        cos_lr=True,
        patience=plan.patience,
        pretrained=False,
        cache="ram",
        device="cpu",
        workers=0,
        # Ultralytics' own mixed precision is for GPUs; ours is in _make_it_fast.
        amp=False,
        plots=False,
        **plan.augment,
    )
    facts = {
        "seconds": round(time.monotonic() - began),
        "epochs": network.trainer.epoch + 1,
        "resumed": resumed,
        "threads": threads,
    }
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return weights_of(plan, folder)


def weights_of(plan: Plan, folder: Path) -> Path:
    """Of a run: from nothing those of the best epoch by the list that chooses. What goes on in short steps is best by
    that list when it has hardly begun, and is taken where its rate ends."""
    return _last(folder) if plan.begins_with else _last(folder).with_name("best.pt")


def _last(folder: Path) -> Path:
    return folder / "weights" / "last.pt"


def _described(plan: Plan, folder: Path) -> Path | str:
    """The description of the plan's network; with other activations a file of its own."""
    if not plan.rectified:
        return plan.network
    described = load_network(plan.network).model.yaml
    from ultralytics.utils import YAML

    # Its name tells ultralytics the size.
    path = folder / plan.network
    YAML.save(path, described | {"activation": "torch.nn.ReLU()"})
    return path


def make_set(name: str, *, neu: Path, folder: Path) -> TrainingSet:
    if name == "metal":
        return make_metal_set(neu.parent / "magnetic_tile", neu.parent / "bsdata", folder)
    if name == "part":
        return make_part_set(folder)
    return make_strip_set(neu, folder) if name == "strip" else make_strip_set(neu, folder, clean=1900)


def load_network(source: Path | str) -> Any:
    """An ultralytics model, from weights or from the description of a network."""
    # Before the first import: ultralytics would set this to 1 and so halve the speed on two cores.
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    # Beside other work, waiting threads that spin take the core from the very thread they wait for: measured
    # ten times slower with one other busy process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Nothing of ours is sent anywhere, and no font or model is fetched.
    os.environ["YOLO_OFFLINE"] = "true"
    from models.training import cpu_torchvision

    cpu_torchvision.make_importable()
    from ultralytics import YOLO, settings

    settings.update({"sync": False})
    return YOLO(str(source))


def export_onnx(weights: Path, *, input_px: int, opset: int) -> Path:
    """The network as an ONNX file of fixed shape (1, 3, input_px, input_px), float32, simplified.

    Of what the tool writes into it, its classes and its licence stay (`without_traces`), and the way to its boxes is
    shorter (`shortened`).
    """
    exported = Path(
        load_network(weights).export(
            format="onnx", imgsz=input_px, opset=opset, simplify=True, dynamic=False, batch=1, device="cpu"
        )
    )
    exported.write_bytes(shortened(without_traces(exported.read_bytes())))
    return exported


def without_traces(network: bytes) -> bytes:
    """An ONNX file without what tools note in it of the computer and the hour it was made at: of its metadata the
    class names, the licence and the bits of its weights stay, its documentation strings go. Weights and graph stay the
    same to the bit; a file without such notes is returned as it is."""
    import onnx

    model = onnx.load_from_string(network)
    told = {one.key: one.value for one in model.metadata_props}
    stated = {key: value for key, value in told.items() if key in STATED}
    noted = [model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output]
    if stated == told and not any(one.doc_string for one in noted):
        return network
    del model.metadata_props[:]
    if stated:
        onnx.helper.set_model_props(model, stated)
    for one in noted:
        one.ClearField("doc_string")
    return bytes(model.SerializeToString())


def answers(weights: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the trained network itself answers, (n, 4 + kinds, places), to inputs (n, 3, height, width)."""
    import torch

    model = load_network(weights).model.float().eval()
    with torch.inference_mode():
        return np.concatenate([model(torch.from_numpy(one[None]))[0].numpy() for one in inputs])


def figures_by_the_tool(weights: Path, description: Path, *, input_px: int) -> tuple[float, float]:
    """mAP50 and mAP50-95 of the trained weights on the list that chose, as ultralytics itself counts them."""
    result = load_network(weights).val(
        data=str(description), imgsz=input_px, batch=16, device="cpu", workers=0, plots=False
    )
    return float(result.box.map50), float(result.box.map)


def tool_version() -> str:
    return version("ultralytics")


def _make_it_fast(network: Any, threads: int) -> None:
    """3.2 times the speed on two CPU cores: all threads, channels last, bfloat16 where it is safe and pays.

    The loss stays in float32; with it in bfloat16 the distribution of the box edges does not converge.
    """
    import torch

    def on_start(trainer: Any) -> None:
        torch.set_num_threads(threads)
        model = trainer.model
        model.to(memory_format=torch.channels_last)
        in_full = model.predict

        def in_short(images: Any, *rest: Any, **named: Any) -> Any:
            images = images.contiguous(memory_format=torch.channels_last)
            with autocast():
                return _to_float32(in_full(images, *rest, **named))

        model.predict = in_short

    network.add_callback("on_train_start", on_start)


def _go_on(network: Any, released: tuple[str, str], *, resumed: bool) -> None:
    """From a released network's weights, or where it was interrupted, from its own."""
    file = ModelStore().find(*released).network

    def on_start(trainer: Any) -> None:
        if not resumed:
            begin_with(file, trainer.model)
            # What is validated and kept is the mean of the weights over the steps; it begins here as well.
            trainer.ema.ema.load_state_dict(trainer.model.state_dict())

    network.add_callback("on_pretrain_routine_end", on_start)
    # Ultralytics tells the model to learn anew at each epoch.
    network.add_callback("on_train_batch_start", lambda trainer: keep_norms(trainer.model))


def _validate_late(network: Any) -> None:
    """Choose among the last epochs only: while the learning rate is high, no epoch is best for long, and a
    look at the list costs a quarter of an epoch. Every tenth is looked at, to see where it goes."""

    def on_epoch(trainer: Any) -> None:
        last = trainer.epoch >= trainer.epochs - VALIDATED_EPOCHS
        trainer.args.val = last or (trainer.epoch + 1) % 10 == 0

    network.add_callback("on_train_epoch_start", on_epoch)


def _until_the_last(each_epoch: Callable[[Any], None]) -> Callable[[Any], None]:
    """Not called for the last look at the best weights, which the tool counts as one more epoch."""
    ended = False

    def on_epoch(trainer: Any) -> None:
        nonlocal ended
        if not ended:
            each_epoch(trainer)
        ended = trainer.stop

    return on_epoch


def _to_float32(value: Any) -> Any:
    import torch

    if torch.is_tensor(value):
        return value.float()
    if isinstance(value, dict):
        return {key: _to_float32(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_float32(one) for one in value)
    return value


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.train", description=__doc__)
    parser.add_argument("name", choices=sorted(PLANS))
    parser.add_argument("--neu", type=Path, default=REPOSITORY.parent / "shared" / "data" / "neu_det")
    parser.add_argument("--folder", type=Path, default=None, help="default: runs/NAME in the repository")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(arguments)
    folder = asked.folder or REPOSITORY / "runs" / asked.name
    best = train(asked.name, neu=asked.neu, folder=folder.resolve(), threads=asked.threads)
    sys.stdout.write(f"{best}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
