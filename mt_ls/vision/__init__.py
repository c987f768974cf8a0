"""The companion vision experiments: the same loss, bins, temperatures and records, on images."""


class VisionError(ValueError):
    """Bad input: the message is one line that says what, where and how to mend it."""
