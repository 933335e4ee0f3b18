"""The config group `task`: every module here registers its kinds."""

from gpt2lab.registry import Registry

kinds = Registry("gpt2lab.task")
register = kinds.register
