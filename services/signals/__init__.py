"""The line: what a PLC is told of each unit, and what it answers (docs/line.md)."""
