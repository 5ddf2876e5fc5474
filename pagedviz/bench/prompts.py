"""Eight prompts of differing length, from one token to several blocks. Data only."""

PROMPTS = (
    "The",
    "The capital of France is",
    "def fibonacci(n):\n    ",
    "A page table maps virtual page numbers to physical frames. When a process forks,",
    "Once upon a time there was a small robot who lived at the edge of a large forest. Every morning it",
    "Question: what is copy-on-write, and why does an operating system use it when a process is forked?\nAnswer:",
    (
        "Ingredients: two eggs, a cup of flour, half a cup of milk, a pinch of salt, a spoon of sugar and some "
        "butter for the pan.\nMethod: first, whisk the eggs with the milk until smooth; then"
    ),
    (
        "Dear colleagues,\n\nthe machine room will be closed on Friday from nine until noon while the cooling is "
        "renewed. All nodes of the cluster are switched off during that time, and jobs that are still queued will "
        "be held until the work is done. Please save your results before then. If you have a deadline on that day, "
        "tell us by Wednesday and we shall find a way.\n\nKind regards,\n"
    ),
)
