"""Files of a series as named columns, read as Label Studio's editor reads them."""
