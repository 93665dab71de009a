"""Laws are held on busy machines too: how long one example takes says nothing about them. Nor is a device of ours
lost that a busy machine keeps from answering for the usual two seconds.

Where a change is landed (CI), the examples are the same each time, so that it is judged by what it changed; at a desk
they are new each time, and find more."""

import os

from hypothesis import settings

settings.register_profile("lynceus", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("lynceus")
os.environ.setdefault("LYNCEUS_GENTL_LOST_AFTER_MS", "10000")
