"""Storage that speaks the S3 protocol: reading documents from it, and signing URLs for devices."""
