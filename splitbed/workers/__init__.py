"""Work that may end a process is done in one of its own, which may take so much and no more.

    this process ──task──> fork server ──fork──> worker ──answer──> this process
                        (bare, one thread)        └─ may die: how it ended comes in place of that

What a stranger sent is opened in native code there first. The fork server has imported what tasks
need, so that a worker is there in milliseconds; it ends with the process that started it.
"""
