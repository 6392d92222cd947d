"""The running service: its parts, its schedule, and what each job does. The composition root of `offmap serve`."""
