"""Fine-tuning: a checkpoint and a table of examples become a classifier, a tagger or an error detector."""
