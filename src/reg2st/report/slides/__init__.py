"""What is written of slides without counts: maps, files for QuPath, tables of the cohort."""
