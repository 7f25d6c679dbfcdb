"""Reads a file of metrics with both parsers of Prometheus' own Python client, and prints the samples as JSON."""
import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

text = open(sys.argv[1], encoding="utf-8").read()
read = []
for families in (openmetrics.text_string_to_metric_families(text), parser.text_string_to_metric_families(text)):
    samples = []
    for family in families:
        assert family.type == "gauge", family
        assert family.documentation, family
        samples += [[s.name, sorted(s.labels.items()), s.value] for s in family.samples]
    read.append(sorted(samples))
assert read[0] == read[1], "the two formats read the file differently"
json.dump(read[0], sys.stdout)
