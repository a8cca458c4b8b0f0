"""Work that may end a process is done in one of its own, which may take so much and no more.

    this process ──task──> fork server ──fork──> worker ──answer──> this process
                        (bare, one thread)        └─ may die: how it ended comes in place of that

What a stranger sent is opened in native code there first. The fork server has imported what tasks
need, so that a worker is there in milliseconds; it ends with the process that started it.

    this process ──module, argv──> fork server ──fork──> program ──fork──> its own fork server

A program is as one that was started, but for what it would take to import all that: the nodes of a
sweep on this machine are such.
"""
