"""One patient's CT, candidates, doses and structures in, all figures and maps out.

Offers: one_patient (evaluate), checked (inputs), settings, results, quantities (figures in words),
    names, origin (what results were made of), stored (in a folder), mr_histograms,
    limits (verdicts, as data), bounds (what figures do not show).
Inside: same_inputs (one volume given twice).
May use: placement, image, plan, dose, delivery, structures, gamma, montecarlo and the rooms of
    SyntheticCTLib.
"""
