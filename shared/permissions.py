"""What a function may be declared to need, for what many of them need alike.

Every ``functions/NAME/main.py`` has a tuple ``PERMISSIONS`` of all IAM permissions that its calls need. The row of the function in
``infra/functions.yaml``, from which Terraform makes its role, has to grant exactly these, and the tests hold both against the calls that
the function makes.
"""

from __future__ import annotations

STORE = (
    "datastore.entities.create",
    "datastore.entities.delete",
    "datastore.entities.get",
    "datastore.entities.list",
    "datastore.entities.update",
)
"""Reads and writes the records (``infra/functions.yaml``: ``store: true``)."""
PUBLISH = "pubsub.topics.publish"
"""Publishes, to the topics that its row names and no others (``publishes``)."""
SECRETS = "secretmanager.versions.access"
"""Is started with secrets in its environment (``secrets``)."""
LIVE = ("storage.objects.get", "storage.objects.list")
"""Reads which endpoint of two is live (``live: read``)."""
LIVE_WRITE = ("storage.objects.create", "storage.objects.delete", *LIVE)
"""Says so; whoever overwrites an object deletes what was there (``live: write``)."""
REPORTS = ("storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list")
"""Reads and writes the bucket of the reports (``reports: true``)."""
