"""Models for `nox -s gate -- --model`, as a user writes them."""
