"""One reader a platform: from a lab's files to a section."""
