"""Exit with 0 when the service in this container is ready; what Docker's HEALTHCHECK runs."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("ELECTRA_PORT", "8000")), timeout=4)
try:
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    body = response.read(500).decode("utf-8", "replace")
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer: {error}")
# Docker keeps the output of the last checks: `docker inspect` then says why a service is not healthy.
if response.status != 200:
    sys.exit(f"{response.status}: {body}")
