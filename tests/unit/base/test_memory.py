"""What counts as a lack of memory, the peak of a process, and freed memory that is kept."""

import ctypes
import subprocess
import sys

import pytest
import torch

from reg2st.base.memory import is_out_of_memory, peak_memory_bytes


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_a_lack_of_memory_is_recognised_by_its_words(error, lack):
    assert is_out_of_memory(error) == lack


def test_the_peak_holds_what_was_freed():
    before = peak_memory_bytes()
    b"x" * (2 * before)
    assert peak_memory_bytes() >= 2 * before


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_freed_memory_is_kept():
    program = """
import resource, torch
from reg2st.base.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

returned = faults()
keep_freed_memory()
faults()
print(returned, faults())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    returned, kept = map(int, done.stdout.split())
    assert returned > 100
    assert kept < returned / 100
