"""What n-grams say beside the network: a linear model inside a classifier's graph."""
