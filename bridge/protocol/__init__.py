"""The bridge itself, without I/O: inputs and times go in, effects come out."""
