"""A seed in, the pelvis of a digital patient as a function of place out.

Offers: patient, pelvis (all of it), bones, tissues, shapes, canvas, noise.
Inside: muscles, organs.
May use: nothing.
"""
