"""The config group `precision`: every module here registers its kinds."""

from gpt2lab.registry import Registry

kinds = Registry("gpt2lab.precision")
register = kinds.register
