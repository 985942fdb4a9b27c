"""Fusing raters into one mask: votes with named tie rules, and EM estimates of who can be trusted where."""
