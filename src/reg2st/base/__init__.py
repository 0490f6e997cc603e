"""What every room stands on: errors, files, names, jobs, devices, memory."""
