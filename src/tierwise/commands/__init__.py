"""The commands of `tierwise`, a file for each thing people do; `tierwise.cli` joins them."""
