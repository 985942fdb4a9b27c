"""Datasets as stores of equally sized cases: cards, readers, splits by patient, augmentation and loading."""
