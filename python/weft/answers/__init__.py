"""Shared, incremental answers: one computation for each question, made again only when a change touches its footprint.

A thousand proxies with one question share one answer and its bytes. The only cache in the control plane.
"""

from weft.answers.answers import Answers, TooManyQuestions, Version, Watch

__all__ = ["Answers", "TooManyQuestions", "Version", "Watch"]
