"""What a short fit from good parts thinks of parts it never saw, as JSON. Where torch is, as in `.venv-training`:

.venv-training/bin/python -m tests.models.short_fit
"""

from __future__ import annotations

import json

from models.maps import MapDetector
from models.session import Session
from models.training.good_only import fit
from tests.models.drawn_metal import surface, with_hole

if __name__ == "__main__":
    model = fit([surface(seed) for seed in range(12)], name="drawn", source="drawn", steps=100, threads=1)
    detector = MapDetector(Session(model), min_score=1e-6)
    told = {
        kind: [float(detector.detect(part(seed)).score.max()) for seed in range(20, 26)]
        for kind, part in (("good", surface), ("holed", with_hole))
    }
    print(json.dumps(told | {"kinds": list(model.card.kinds)}))
