"""The config group `quantization`: every module here registers its kinds."""

from gpt2lab.registry import Registry

kinds = Registry("gpt2lab.quantization")
register = kinds.register
