"""Memory of a process: how much it held, whether it ran out, what it keeps."""

import ctypes
import resource

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Names of ``mallopt`` in glibc's malloc.h."""

OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "could not create a primitive",
    "could not create a memory",
)
"""What CUDA, PyTorch, the system and oneDNN (the last two) report, in lower case."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on an accelerator or on the CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY)


def peak_memory_bytes() -> int:
    """The most resident memory that this process has held.

    On Linux ``ru_maxrss`` starts from what the parent process held, so the kernel's own peak is
    read instead.
    """
    try:
        with open("/proc/self/status", encoding="utf-8") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak.split()[1]) * 1024


def keep_freed_memory() -> None:
    """Make this process keep the memory that it frees, where the C library is glibc.

    A step of training, or a batch of an encoder, allocates the same large tensors as the one
    before. By default glibc returns each to the kernel and gets it back page by page, zeroed: a
    fifth of the time of a HisToGene epoch, a third of that of EfficientNet-Lite0. The peak memory
    of a training stays the same; that of EfficientNet-Lite0 grows by a tenth.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
