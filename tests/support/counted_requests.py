"""What a running service counts, as its metrics say."""

import requests
from prometheus_client.parser import text_string_to_metric_families


def counted(url: str) -> float:
    """Requests for `/setup` that all web processes together answered."""
    text = requests.get(f"{url}/metrics", timeout=60).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "timeseries_segmenter_requests_total" and sample.labels["route"] == "/setup"
    )
