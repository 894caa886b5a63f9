"""A fixed and a moving image in, the transform between them and the moved image out.

Offers: rigid_and_deformable (both steps), displacement (how far it bends), lying (how images lie
    on one another), agreement (has it failed?), working_copies, brainsfit (Slicer's program).
Inside: rigid, bspline (what bends, and when it is left out), plastimatch (the program),
    program_run (how programs are run), first_shift, other_starts (turned starts, best first),
    any_start (registers again from them).
May use: basics, volumes, normalization.
"""
