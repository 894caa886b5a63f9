"""A CT, structures and prescribed doses in, a plan of arcs that a linac can deliver out.

Offers: planner (make_plan), objectives (of organs), table (coverage and organ doses),
    linac (limits, and the time that a beam takes).
Inside: arcs (leaves and MU to beams), influence (dose of a small field at points),
    goals (what is asked of points), optimiser (leaves and MU).
May use: basics, volumes, plan, dose, structures, delivery.
"""
