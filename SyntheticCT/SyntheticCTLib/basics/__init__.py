"""What every room needs: sentences for people, progress, results that are whole or absent.

Offers: errors, fingerprint (hashes of files), inputs (FOLDER#SERIES), interrupts, manifest
(tables of patients), named_numbers (NAME=NUMBER), outputs (staged files and folders), processors,
progress, stages (working folders, full disks), stepwise, tables.
May use: nothing.
"""
