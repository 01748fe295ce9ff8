"""Bad callers, bad files, bad input: refused clearly, and unnoticed by everybody else."""
