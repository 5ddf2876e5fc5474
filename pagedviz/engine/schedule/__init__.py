"""Who runs in the next step, who is preempted, what it costs, and how memory is made ready for it."""
