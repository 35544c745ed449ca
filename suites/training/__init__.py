"""What initialization does to learning, and whether a step of training still computes what it should."""
