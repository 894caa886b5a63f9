"""A fixed and a moving image in, the transform between them and the moved image out.

Offers: rigid_and_deformable (both steps), displacement (how far it bends), lying (how images lie
    on one another), agreement (has it failed?), working_copies.
Inside: rigid, bspline (by the program plastimatch), first_shift,
    other_starts (turned starts, best first), any_start (registers again from them).
May use: basics, volumes, normalization.
"""
