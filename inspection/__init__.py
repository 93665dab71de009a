"""The ground floor: shared words, vision and judging. Values in, values out; nothing here does I/O.

This module imports nothing, so that a process that only needs the words does not load OpenCV.
"""
