"""Reports: the gate's verdict on two run folders, and everything that a reader is shown of it. No torch."""
