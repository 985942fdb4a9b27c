"""One training loop for every model, its schedules, its checkpoints, and what it reports."""
