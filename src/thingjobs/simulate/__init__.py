"""Virtual devices that work on jobs over real MQTT: ``thingjobs simulate``."""
