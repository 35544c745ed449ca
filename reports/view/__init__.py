"""View model: everything that a reader is shown, gathered, ordered and put into words once for all renderers."""
