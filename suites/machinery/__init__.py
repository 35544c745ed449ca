"""Aimed at ourselves: that the instrument sees what it must and nothing else."""
