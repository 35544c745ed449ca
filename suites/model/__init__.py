"""A user's own model on one torch: the program that the gate runs on both sides."""
