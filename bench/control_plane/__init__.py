"""The control plane at scale: many Services, many streams, and what a change costs."""
