"""From pixels to detections, and the drawings that are used to try it. numpy and OpenCV only; no I/O.

This module imports nothing; take what is wanted from the file that has it.
"""
