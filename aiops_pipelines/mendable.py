"""What a person can mend: the error whose message is for them, and what to do about one of a file."""

import errno

WHAT_TO_DO = {
    errno.EACCES: "; let this user read and write it",
    errno.EPERM: "; let this user read and write it",
    errno.EROFS: "; it has to be on a disk that can be written",
    errno.ENOSPC: "; make room, and start again",
    errno.EDQUOT: "; make room, and start again",
    errno.EIO: "; what was not kept is done again by the next run, but look after the disk first",
}

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class Mendable(Exception):
    """An error whose message says what is wrong and what to do; a command prints it, without a traceback."""


def about(error: OSError) -> str:
    """Return what an error of a file or a disk is and what to do about it; nothing of another one."""
    if error.filename is None and error.errno not in OF_THE_DISK:
        return ""
    where = error.filename or "The disk"
    return f"{where} cannot be used: {error.strerror}{WHAT_TO_DO.get(error.errno or 0, '')}."
