"""From files and folders to data sets of pictures; to add a kind of source, list its entries."""
