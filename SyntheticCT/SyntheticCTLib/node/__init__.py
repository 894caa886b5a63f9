"""MR series that a scanner sends in; their synthetic CTs, sent on to a planning system, out.

Offers: server (the node, and what it is set to), addresses (AE@HOST:PORT), series (all that a
    spool holds), status (what is told of them; one put back by hand).
Inside: receiving (C-STORE in), spool (where each series goes next), carrying (who brings it, and
    what broke off), same (an image that came again), worker and generating (the child process
    that makes synthetic CTs), sending (C-STORE out), log, page (read-only, for a browser).
May use: basics, dicom, volumes, body, bundle, inference, export, archive.
"""
