"""Client of the recordings API: `Client`, `AsyncClient`, and the base of every error."""

# The names that most programs need. Import the others from their modules.
from recordings_client.client import AsyncClient as AsyncClient
from recordings_client.client import Client as Client
from recordings_client.errors import RecordingsError as RecordingsError
from recordings_client.policy import Policy as Policy
