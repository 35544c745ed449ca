"""Whether signals and gradients travel through deep networks as theory says."""
