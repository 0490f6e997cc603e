"""Raw files: downloads with checksums, and members of archives."""
