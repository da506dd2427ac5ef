"""Kidney function from creatinine."""

#: The least age in years that the equation is for.
ADULT = 18.0


def ckd_epi_2021(creatinine: float, age: float, *, female: bool) -> float:
    """The estimated glomerular filtration rate in mL/min/1.73 m2.

    creatinine: in serum, standardised, mg/dL, above 0. age: in years, at least `ADULT`.
    Source: Inker et al. 2021, New equations to estimate GFR without race, NEJM 385:1737-1749, the
    creatinine equation of table 2.
    """
    kappa, alpha, factor = (0.7, -0.241, 1.012) if female else (0.9, -0.302, 1.0)
    ratio = creatinine / kappa
    low, high = min(ratio, 1.0) ** alpha, max(ratio, 1.0) ** -1.200
    return float(142 * low * high * 0.9938**age * factor)
