"""Evaluation of a synthetic CT against the true CT: image, dose, gamma, report."""
