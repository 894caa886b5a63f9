"""The own test of the module Synthetic CT; test_installed_tree.py runs it on what is installed."""


def test_the_modules_own_test_passes(harness):
    harness.run_self_test("SyntheticCT")
