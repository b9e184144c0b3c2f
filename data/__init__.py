"""What happened: the trace table, the tier catalogue, readers, the simulated fleet and the split."""
