"""The one sentence that every door to this package shows."""

RESEARCH_USE = "For research and teaching only: not a medical device, not for diagnosis or treatment."
