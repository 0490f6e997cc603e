"""What models see of a spot: patches, graphs, image features."""
