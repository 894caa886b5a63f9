"""What every room needs: sentences for people, progress, results that are whole or absent.

Offers: errors, interrupts, manifest (CSV), outputs (staged files and folders), progress, stepwise.
May use: nothing.
"""
