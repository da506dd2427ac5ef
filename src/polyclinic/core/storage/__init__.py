"""Where state rests: one database and one store of content-addressed blobs."""
