"""The interface for programs, one router per noun, under /api/v1. The pages read the same answers."""
