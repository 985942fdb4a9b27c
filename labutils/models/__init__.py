"""Networks: shared blocks, then one paper, one file; `registry` maps a name to its configuration and class."""
