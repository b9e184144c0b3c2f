"""What happened: the trace table, the tier catalogue, readers, the fleet and the split."""
