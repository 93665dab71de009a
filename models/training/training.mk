# The training desk: an environment of its own, because ultralytics is AGPL-3.0 and torch is large.
# `include models/training/training.mk` in the Makefile; run from the repository's root.

PYTHON ?= python3
NEU_DET ?= ../shared/data/neu_det
# Holds neu_det, xsdd and magnetic_tile.
SCREEN_DATA ?= ../shared/data
TRAINED_VERSION ?= 1.0.0
# Not into models/released: what was released is replaced by no command. Copy the folder there to release it.
TRAINED_INTO ?= runs/released

.PHONY: train-strip train-strip-quiet train-strip-quiet-11 train-part train-metal train-tile quantise-strip quantise-part train-spindle train-screen ensemble-strip

# torch comes first and alone: pip then keeps its CPU build when ultralytics asks for any torch.
.venv-training/ready: pyproject.toml
	$(PYTHON) -m venv .venv-training
	.venv-training/bin/pip install --quiet torch==2.13.0
	.venv-training/bin/pip install --quiet -e ".[training]"
	touch $@

train-strip: .venv-training/ready
	.venv-training/bin/python -m models.training.train strip --neu $(NEU_DET)
	.venv-training/bin/python -m models.training.release strip --version $(TRAINED_VERSION) --into $(TRAINED_INTO) --neu $(NEU_DET)

# Going on from 1.2.0, and from 1.1.0, beside more defect-free strip.
train-strip-quiet train-strip-quiet-11: train-%: .venv-training/ready
	.venv-training/bin/python -m models.training.train $* --neu $(NEU_DET)
	.venv-training/bin/python -m models.training.release $* --version $(TRAINED_VERSION) --into $(TRAINED_INTO) --neu $(NEU_DET)

train-part: .venv-training/ready
	.venv-training/bin/python -m models.training.train part
	.venv-training/bin/python -m models.training.release part --version $(TRAINED_VERSION) --into $(TRAINED_INTO)

# Magnetic tiles and spindles lie beside NEU_DET.
train-metal: .venv-training/ready
	.venv-training/bin/python -m models.training.train metal --neu $(NEU_DET)
	.venv-training/bin/python -m models.training.release metal --version $(TRAINED_VERSION) --into $(TRAINED_INTO) --neu $(NEU_DET)

# Maps of magnetic tiles, in fp32 and int8: the mean of networks of these seeds, and of one fitted from the good tiles.
# Needs torch and no ultralytics.
TILE_SEEDS ?= 0 1 2
train-tile: .venv-training/ready
	for seed in $(TILE_SEEDS); do \
		.venv-training/bin/python -m models.training.segment --data $(SCREEN_DATA)/magnetic_tile --seed $$seed --folder runs/tile-$$seed || exit 1; \
	done
	.venv-training/bin/python -m models.training.release_tile --version $(TRAINED_VERSION) --into $(TRAINED_INTO) --data $(SCREEN_DATA)/magnetic_tile \
		--runs $(TILE_SEEDS:%=runs/tile-%)

# The strip-surface that lines run in int8, in a folder beside it; into models/released, since a screen belongs to it too.
quantise-strip: .venv-training/ready
	.venv-training/bin/python -m models.training.release strip --int8 --of 1.2.2 --neu $(NEU_DET)

# Likewise the newest released part-surface.
quantise-part: .venv-training/ready
	.venv-training/bin/python -m models.training.release part --int8

# Pitting of ball screws, from outlines, by the way of a plant's own sets. Begins anew each time.
train-spindle: .venv-training/ready
	rm -rf runs/ball-screw
	PYTHONPATH=. .venv-training/bin/python benchmarks/parts/spindles.py --shared $(SCREEN_DATA)/.. --lay-out runs/ball-screw
	.venv-training/bin/python -m models.training.outlined --data runs/ball-screw --name ball-screw --epochs 20 \
		--set "BSData train.txt, pieces of 400 px" --licence "CC BY-SA 4.0 (BSData; T. Schlagenhauf, M. Landwehr, 2021, arXiv 2103.13003)" \
		--version $(TRAINED_VERSION) --into $(TRAINED_INTO)
	.venv-training/bin/python -m models.training.outlined --data runs/ball-screw --name ball-screw --int8 \
		--version $(TRAINED_VERSION) --into $(TRAINED_INTO)

# Two networks of strip surfaces in one file, each at two sizes: of the package, or made before by
# `make train-strip-quiet TRAINED_VERSION=1.2.1` and `make train-strip-quiet-11 TRAINED_VERSION=1.3.0`.
ENSEMBLE_OF ?= 1.2.1 1.3.0
ensemble-strip: .venv-training/ready
	.venv-training/bin/python -m models.training.release strip --ensemble $(ENSEMBLE_OF) --looks 4 --version $(TRAINED_VERSION) --into $(TRAINED_INTO) --neu $(NEU_DET)

# Of the network that lines run, in fp32 and in int8: a screen learns to foresee one network.
train-screen: .venv-training/ready
	.venv-training/bin/python -m models.training.screen --model-version 1.2.2 --version $(TRAINED_VERSION) --into $(TRAINED_INTO) --data $(SCREEN_DATA) --also strip-surface-int8
