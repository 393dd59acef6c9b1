"""The emulator's REST front end: the same services under the URLs, and in the JSON, of Google's."""
