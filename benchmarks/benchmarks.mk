# What a user would pick instead, in an environment of its own: ultralytics is AGPL-3.0, and torch is large.
# `include benchmarks/benchmarks.mk` in the Makefile; run from the repository's root.

BENCHMARK_DATA ?= ../shared/data

.PHONY: benchmark-strip benchmark-parts

# torch first and pinned: pip then keeps its CPU build (docs/training.md).
.venv-peers/ready: pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet torch==2.13.0
	.venv-peers/bin/pip install --quiet -e ".[training,codes]" sahi==0.12.8 supervision==0.31.2 opencv-python-headless
	touch $@

benchmark-strip: .venv-peers/ready
	PYTHONPATH=. .venv-peers/bin/python benchmarks/strip/beside.py --data $(BENCHMARK_DATA)

benchmark-parts: .venv-peers/ready
	PYTHONPATH=. .venv-peers/bin/python benchmarks/parts/frame.py --beside-ultralytics
