"""Offline: raw text to pretrained, fine-tuned, exported and judged models.

Nothing here is imported by the service.
"""

import os

# Threads that wait by spinning take the processor from those that work: on two busy cores a training step
# took 7.5 times as long. A few microseconds of it before they sleep cost a twentieth there and bring a
# quarter on idle ones (GNU's runtime alone knows the second). Read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
