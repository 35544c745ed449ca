"""All that can be asked of one device in minutes, with the interpreter at hand."""
