"""Arrays in, matplotlib figures out: one look for the whole book; knows no models and no data."""
