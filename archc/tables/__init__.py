"""Results as tables, for terminals, papers and spreadsheets."""
