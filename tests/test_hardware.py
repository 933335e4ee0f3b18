"""What this machine is: cores that may be used, precisions by CPU flags, devices that are there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt2lab import hardware
from gpt2lab.errors import UserError


def config(**changes: Any) -> hardware.HardwareConfig:
    return hardware.HardwareConfig(**({"device": "cpu", "threads": 1, "workers": 0, "tf32": False} | changes))


@pytest.fixture
def settings() -> Iterator[None]:
    """Process-wide settings as they were."""
    threads = torch.get_num_threads()
    yield
    hardware.setup(config(threads=threads))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_cores_are_those_of_the_affinity_mask() -> None:
    """In a process of its own: this one keeps its cores."""
    code = """
import os, sys
allowed = sorted(os.sched_getaffinity(0))
from gpt2lab import hardware
hardware._cgroup_quota = lambda: None
counts = []
for n in (len(allowed), 1):
    os.sched_setaffinity(0, allowed[:n])
    counts.append(hardware.available_cores())
hardware.setup(hardware.HardwareConfig("cpu", None, 0, False))
import torch
print(len(allowed), *counts, torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    allowed, before, after, threads = map(int, done.stdout.split())
    assert (before, after, threads) == (allowed, 1, 1)


@pytest.mark.parametrize(("quota", "cores", "expected"), [
    (None, 8, 8), (2.0, 8, 2), (1.5, 8, 2), (0.5, 8, 1), (16.0, 8, 8),
])  # fmt: skip
def test_a_containers_quota_cuts_the_cores(
    quota: float | None, cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(hardware, "_cgroup_quota", lambda: quota)
    assert hardware.available_cores() == expected


@pytest.mark.parametrize(("flags", "native"), [
    ("fpu sse2 avx2 fma", ("fp32",)),
    ("avx512f avx512_vnni", ("fp32", "int8")),
    ("avx512f avx512_vnni avx512_bf16 amx_bf16 amx_int8", ("fp32", "bf16", "int8")),
    ("avx2 avx_vnni", ("fp32", "int8")),
    ("asimd bf16 i8mm", ("fp32", "bf16", "int8")),  # ARM's names
    ("avx512_fp16 f16c", ("fp32",)),  # fp16 is never run natively on a CPU
    ("", ("fp32",)),
])  # fmt: skip
def test_native_precisions_by_flags(flags: str, native: tuple[str, ...]) -> None:
    assert hardware.native_cpu(frozenset(flags.split())) == native


@pytest.mark.parametrize(("capability", "native"), [
    ((6, 1), {"fp32"}), ((7, 0), {"fp32", "fp16"}), ((7, 5), {"fp32", "fp16", "int8"}),
    ((8, 0), {"fp32", "tf32", "bf16", "fp16", "int8"}), ((9, 0), {"fp32", "tf32", "bf16", "fp16", "int8"}),
])  # fmt: skip
def test_native_precisions_of_a_gpu(capability: tuple[int, int], native: set[str]) -> None:
    assert set(hardware._native_cuda(capability)) == native


@pytest.mark.parametrize(("device", "count", "message"), [
    ("cuda", 0, "finds no CUDA device here; use hardware=cpu or hardware=auto"),
    ("cuda:0", 0, "finds no CUDA device here"),
    ("cuda:2", 2, r"has 2 CUDA device\(s\), counted from 0"),
    ("gpu", 2, "must be auto, cpu, cuda or cuda:<index>"),
    ("cuda:x", 2, "must be auto, cpu, cuda or cuda:<index>"),
])  # fmt: skip
def test_a_device_that_is_not_there(device: str, count: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(UserError, match=f"hardware.device={device}: .*{message}") as caught:
        hardware.setup(config(device=device))
    assert "\n" not in str(caught.value)


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert hardware._device("auto") == device


def test_deterministic_sets_what_torch_and_cudnn_need(settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for wanted in (True, False):
        hardware.setup(config(), deterministic=wanted)
        assert torch.are_deterministic_algorithms_enabled() is wanted
        assert torch.backends.cudnn.deterministic is wanted and torch.backends.cudnn.benchmark is False
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_setup_and_its_line(settings: None) -> None:
    found = hardware.setup(config(threads=1, workers=2))
    assert (found.device, found.threads, found.workers, torch.get_num_threads()) == ("cpu", 1, 2, 1)
    assert found.cores == hardware.available_cores() and found.native == hardware.native_cpu(hardware.cpu_flags())
    line = found.line()
    assert "\n" not in line and f"1 of {found.cores} cores" in line and " ".join(found.native) in line
    assert found.record()["name"] == found.name and found.memory_bytes > 2**28


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_set_without_a_warning(tf32: bool, settings: None, recwarn: pytest.WarningsRecorder) -> None:
    hardware.setup(config(tf32=tf32))
    assert torch.backends.cuda.matmul.allow_tf32 is tf32 and torch.backends.cudnn.allow_tf32 is tf32
    assert not recwarn.list
