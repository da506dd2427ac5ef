"""Libraries of millions of molecules: the ones like a molecule, the ones that hold a motif."""
