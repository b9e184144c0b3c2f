"""What ships: the rule, the graph, the bundle and the registry."""
