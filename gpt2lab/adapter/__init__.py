"""The config group `adapter`: every module here registers its kinds."""

from gpt2lab.registry import Registry

kinds = Registry("gpt2lab.adapter")
register = kinds.register
