"""How raw files get here: downloads held to their checksums, and members of archives."""
