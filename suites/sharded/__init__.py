"""Sharded weights, as large models are initialized: laws, shards, replicas, training and checkpoints over ranks."""
