"""What is wrong between this computer and its cameras: looked at, judged, and with the line that mends it.

Looking (`computer`, `wire`, `device`) gives facts; judging takes facts and gives findings, and does nothing else.
"""
