"""mrk verify: are the keys well? Judges, and changes nothing."""

from workflows import jobs
from workflows.cli.common import each, opened, show_endings
from workflows.cli.options import NamesArgument, Options, with_options


@with_options
def command(names: NamesArgument = None, *, options: Options) -> int:
    """Judge every key. Exit 0: well; 3: a look failed, or the next `mrk run` finishes what was begun; 4: unhealthy."""
    with opened(options, names, changing=False) as called:
        todo = each(called, names, lambda name, key: jobs.verify(name, key, called.settings.policy(key)))
        return show_endings(called, called.look(todo))
