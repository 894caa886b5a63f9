"""A treatment plan as it is delivered in, its dose on any CT-like volume out.

Offers: doses (of a plan, on the true CT and candidates), dose (of a plan: the pencil beam over
    every control point), apertures (fluence of jaws and leaves), segments (control points as parts
    of the meterset).
May use: basics, volumes, plan, dose.
"""
