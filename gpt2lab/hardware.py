"""What this machine is and which precisions it executes natively."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gpt2lab.errors import UserError
from gpt2lab.schema import knob


@dataclass
class HardwareConfig:
    """Where a run executes; it does not determine the result and is not part of a run's identity."""

    device: str = knob()
    """auto (CUDA where there is one), cpu, cuda or cuda:<index>"""
    threads: int | None = knob(ge=1)
    """CPU threads; null: the cores that are really there (affinity and container quota)"""
    workers: int = knob(ge=0)
    """processes that prepare batches; 0: the training process itself"""
    tf32: bool = knob()
    """let CUDA run fp32 matrix products as TF32"""


@dataclass(frozen=True)
class Hardware:
    """The machine as found and as set up."""

    device: str
    name: str
    cores: int
    threads: int
    workers: int
    memory_bytes: int
    native: tuple[str, ...]
    """precisions executed at full speed: of fp32 tf32 bf16 fp16 int8"""

    def line(self) -> str:
        """One line for the user."""
        return (f"hardware: {self.name} ({self.device}), {self.threads} of {self.cores} cores, "
                f"{self.memory_bytes / 2**30:.0f} GiB, native {' '.join(self.native)}")  # fmt: skip

    def record(self) -> dict[str, Any]:
        """For environment.json."""
        return asdict(self)


def setup(config: HardwareConfig, deterministic: bool = False) -> Hardware:
    """Choose the device, set threads and determinism for this process; UserError if the device is not there."""
    device = _device(config.device)
    threads = config.threads or available_cores()
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = config.tf32
    torch.backends.cudnn.allow_tf32 = config.tf32
    if deterministic:  # cuBLAS needs the workspace setting before its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = False
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
        native = _native_cuda(torch.cuda.get_device_capability(device))
    else:
        name, memory, native = _cpu_name(), _memory_bytes(), native_cpu(cpu_flags())
    return Hardware(device, name, available_cores(), threads, config.workers, memory, native)


def available_cores() -> int:
    """Cores this process may use: the affinity mask, cut by a container's CPU quota (cgroup v2 and v1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(cores, round(quota))) if quota else cores


def native_cpu(flags: frozenset[str]) -> tuple[str, ...]:
    """Precisions a CPU executes at full speed, from its feature flags (Linux's names)."""
    native = ["fp32"]
    if flags & {"avx512_bf16", "amx_bf16", "bf16"}:
        native.append("bf16")
    if flags & {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm"}:
        native.append("int8")
    return tuple(native)


def cpu_flags() -> frozenset[str]:
    """Feature flags from /proc/cpuinfo; on macOS none, so that only fp32 counts as native."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return frozenset()
    lines = path.read_text(errors="replace").splitlines()
    line = next((row for row in lines if row.lower().startswith(("flags", "features"))), ":")
    return frozenset(line.split(":", 1)[1].split())


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return "cpu"
    if wanted == "cuda" or (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        if not torch.cuda.is_available():
            raise UserError(f"hardware.device={wanted}: torch {torch.__version__} finds no CUDA device here; "
                            "use hardware=cpu or hardware=auto")  # fmt: skip
        if wanted != "cuda" and int(wanted[5:]) >= torch.cuda.device_count():
            raise UserError(f"hardware.device={wanted}: this machine has {torch.cuda.device_count()} CUDA device(s), "
                            "counted from 0")  # fmt: skip
        return wanted
    raise UserError(f"hardware.device={wanted}: must be auto, cpu, cuda or cuda:<index>")


def _native_cuda(capability: tuple[int, int]) -> tuple[str, ...]:
    native = ["fp32"]
    native += ["tf32", "bf16"] if capability >= (8, 0) else []
    native += ["fp16"] if capability >= (7, 0) else []
    native += ["int8"] if capability >= (7, 5) else []
    return tuple(native)


def _cgroup_quota() -> float | None:
    v2, v1 = Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu")
    if v2.exists():
        quota, period = v2.read_text().split()[:2]
        return None if quota == "max" else int(quota) / int(period)
    if (v1 / "cpu.cfs_quota_us").exists():
        quota_us = int((v1 / "cpu.cfs_quota_us").read_text())
        return None if quota_us <= 0 else quota_us / int((v1 / "cpu.cfs_period_us").read_text())
    return None


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
