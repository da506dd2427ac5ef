"""From files to pictures: PNG, JPEG, TIFF and DICOM, recognised by their content."""
