"""Fine-tuning: a checkpoint and a table of examples become a classifier, a tagger or an error detector."""

import os

# Threads that wait by spinning take the processor from those that work: on two busy cores a step took 7.5
# times as long. Read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
