"""What the API returns: a model for each document. Changing a field here changes the API.

The handlers return these models, and docs/openapi.yaml is generated from them. They are in several modules, so that a
function loads only the documents that it returns.
"""
