"""Put a finished pretraining run where the package looks for its bundled base, in half precision.

python experiments/mini/bundle.py <run folder> <out folder>
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def main(run: Path, out: Path) -> None:
    """Cast the run's weights to fp16 (they are loaded as fp32 again) and write them as safetensors."""
    weights = load_file(run / "adapter" / "model.safetensors")
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in weights.items()}
    out.mkdir(parents=True, exist_ok=True)
    save_file(half, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    parameters = sum(t.numel() for t in half.values())
    print(
        f"{out / 'model.safetensors'}: {parameters:,} parameters, {(out / 'model.safetensors').stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
