"""Laws are held on busy machines too: how long one example takes says nothing about them."""

from hypothesis import settings

settings.register_profile("lynceus", deadline=None)
settings.load_profile("lynceus")
