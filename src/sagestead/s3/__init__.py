"""Amazon S3's REST-XML protocol over the object store."""
