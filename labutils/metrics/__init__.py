"""Scores per case: overlap, disagreement, calibration, QUBIQ, surfaces in mm, and agreement between raters."""
