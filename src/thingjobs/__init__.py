"""thingjobs: a self-hosted, wire-compatible AWS IoT Jobs service."""

__version__ = "0.1.0"
