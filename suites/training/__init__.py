"""Effects of initialization on learning, and the correctness of a step of training."""
