"""What was made from what, and where a place on one lies on the other."""
