"""Command line of the reports: gate and show, and run folders made of run folders."""
