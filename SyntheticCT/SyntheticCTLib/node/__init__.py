"""MR series that a scanner sends in; their synthetic CTs, sent on to a planning system, out.

Offers: server (the node, and what it is set to), addresses (AE@HOST:PORT), spool (a series put
    back by hand), status (what stands in the spool).
Inside: receiving (C-STORE in), series (what is known of one), carrying (who brings it, and what
    broke off), same (an image that came again), worker and generating (the child process that
    makes synthetic CTs), sending (C-STORE out), log, page (read-only, for a browser).
May use: basics, dicom, volumes, body, bundle, inference, export, archive.
"""
