"""A fixed and a moving image in, the transform between them and the moved image out.

Offers: rigid_and_deformable (both steps; rigid.py, bspline.py hold one each), displacement (how
    far it bends), working_copies. agreement.py judges, any_start.py tries again.
May use: basics, volumes, normalization.
"""
