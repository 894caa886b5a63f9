"""A CT, structures and prescribed doses in, a plan of arcs that a linac can deliver out.

Offers: request (what a plan is asked for), treatment (the plan as a file, with its table), table
    (coverage and organ doses), objectives (of organs).
Inside: planner (make_plan), linac (limits, and the time that a beam takes), arcs (leaves and MU to
    beams), influence (dose of a small field at points), goals (what is asked of points), optimiser
    (leaves and MU).
May use: basics, dicom, volumes, body, export, plan, dose, structures, delivery.
"""
