"""Shape letters, typed errors, configurations, and the runtime: what every other room stands on."""
