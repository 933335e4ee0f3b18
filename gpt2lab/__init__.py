"""gpt2lab: answers about fine-tuning GPT-2 cheaply."""

__version__ = "0.1.0"
