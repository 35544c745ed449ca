"""How long what torch does takes, in one environment, by pytest-benchmark."""
