"""Why one file of a corpus gives no document: for good, or for the moment."""


class UnreadableFile(ValueError):
    """A file is not read, or its bytes are not what its name says; the message is the reason, a sentence."""


class NotNow(UnreadableFile):
    """A file cannot be read at this moment; the next run may, and until then its last version holds."""


CHANGED = "It changed while it was read; the next run reads it."
VANISHED = "It vanished while it was read; the next run looks again."
