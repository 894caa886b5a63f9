"""An MR in, the MR on the standard scale of a model out (Nyul).

Offers: nyul (landmarks, standard scale), foreground (the voxels that count), padding.
May use: basics, volumes.
"""
