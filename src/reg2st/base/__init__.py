"""Shared by all packages: errors, files, names, validation, jobs, devices, memory, progress."""
