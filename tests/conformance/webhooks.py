"""Webhooks that were received, verified by the library on PyPI."""

import json
import sys

from standardwebhooks import Webhook

messages = json.load(open("messages.json"))
for message in messages:
    headers = {name: message["headers"][name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    event = Webhook(message["secret"]).verify(message["body"], headers)
    assert event["type"].endswith(".created"), event
print(f"Webhooks (standardwebhooks of PyPI): {len(messages)} of {len(messages)} verified")
sys.exit(0 if messages else 1)
