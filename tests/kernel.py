"""A kernel that refuses a system call, as some file systems do. On x86_64 only."""

import ctypes
import platform
import struct

import pytest

FLOCK = 73

on_x86_64 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the filter of system calls is for x86_64"
)


def refuse_flock(error: int) -> None:
    """Have the kernel answer flock with an error, in this process and its children, for good."""
    steps = [
        (0x20, 0, 0, 0),  # look at the number of the system call
        (0x15, 0, 1, FLOCK),  # go on to the next step if it is flock, else skip it
        (0x06, 0, 0, 0x00050000 | error),  # fail
        (0x06, 0, 0, 0x7FFF0000),  # allow
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    prctl = ctypes.CDLL(None).prctl
    assert prctl(38, 1, 0, 0, 0) == prctl(22, 2, program) == 0
