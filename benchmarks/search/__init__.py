"""How good the search is: bars on cases, rivals side by side, the table of the paper."""
