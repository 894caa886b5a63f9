"""A treatment plan as it is delivered in, its dose on any CT-like volume out.

Offers: dose (of a plan: the pencil beam over every control point), apertures (fluence of jaws and
    leaves).
Inside: segments (control points as parts of the meterset).
May use: basics, volumes, plan, dose.
"""
