"""The serving benchmark: this service and its peers on the same exported model, one after another, under the
same load. ``python -m training.bench.serve --help`` says how."""
