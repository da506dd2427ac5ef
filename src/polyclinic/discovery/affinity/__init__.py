"""Drug-target affinity: how strongly a molecule binds a protein, from SMILES and sequence."""
