"""Trials that `ratdata` must survive: kills, signals, full disks, limits, stale inputs, hostile files.

Every trial is a case with a name, such as `kills/tokenize/3`. What a case does is drawn from the seed and
its name alone, so one case can be repeated without the others. In the order of reading:

    program.py    starts the program under test and tells how it ended
    judge.py      what every ending must keep, whatever was done to the program
    place.py      the folder of one case, and what lies in folders
    material.py   the inputs that cases share: text, tokenizer, artifacts
    jobs.py       the commands that kills, signals and full disks interrupt
    kills.py      SIGKILL at random moments, in chains
    signals.py    SIGINT and SIGTERM
    disks.py      file systems without room
    limits.py     few file descriptors, little memory, no stdout, no HOME, odd names
    stale.py      inputs that change before, during and between runs
    hostile/      files that somebody made to do harm, one module a kind
    plan.py       which cases are run, for how long, on how many workers
    totals.py     the table at the end
"""
