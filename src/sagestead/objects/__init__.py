"""The object store on a local folder: durable, exact, streaming."""
