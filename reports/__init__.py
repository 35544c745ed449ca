"""What a person reads: run records, the gate's verdict, the terminal. Reads files and never imports torch."""
