"""One invocation from request to response: route table, choice of variant and instance."""
