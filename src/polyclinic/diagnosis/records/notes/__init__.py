"""Free text as input: sentences, embedded by a network of the BERT family, served without torch."""
