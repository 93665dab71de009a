"""A GigE Vision device of our own, on real UDP: to test and to train against, where there is no camera."""
