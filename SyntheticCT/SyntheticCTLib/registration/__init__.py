"""A fixed and a moving image in, the transform between them and the moved image out.

Offers: rigid_and_deformable (both steps; rigid.py and bspline.py hold one each), working_copies.
May use: basics, volumes, normalization.
"""
