"""What a config may not be made of: YAML that is small on disk, and has no end in memory."""

from collections.abc import Iterable

import yaml

from orchestrator.config_errors import DEEPEST

LONGEST = 2 << 20
"""Bytes of a config file: one with ten thousand keys has three quarters of that."""

_MOST = 200_000
"""Values in a file: ten thousand keys have about half as many."""

_MOST_REPEATED = 500_000
"""Values in a file with those that aliases repeat."""

_LONGEST_NUMBER = 100
_BEGUN = 0
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")


class Loader(yaml.SafeLoader):
    """Parses YAML, and stops with yaml.MarkedYAMLError where that would grow without bound."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count what is parsed."""
        self._count += 1
        self._depth += 1
        if self._count > _MOST or self._depth > DEEPEST:
            problem = "it is nested too deep" if self._depth > DEEPEST else f"it has more than {_MOST} values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_document(self) -> yaml.Node | None:
        """Judge a document, before anything is made of it."""
        root = super().compose_document()
        if root is not None and self._size(root) > _MOST_REPEATED:
            problem = f"its aliases (*name) make more than {_MOST_REPEATED} values of it"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=root.start_mark)
        return root

    def _size(self, node: yaml.Node) -> int:
        """Tell how many values a node stands for."""
        if self._sizes.get(id(node)) == _BEGUN:
            raise yaml.MarkedYAMLError(problem="an alias (*name) within what it names", problem_mark=node.start_mark)
        if id(node) not in self._sizes:
            self._sizes[id(node)] = _BEGUN
            self._sizes[id(node)] = 1 + sum(map(self._size, _below(node)))
        return self._sizes[id(node)]


def _below(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
        raise yaml.MarkedYAMLError(problem=f"a number of {len(node.value)} characters", problem_mark=node.start_mark)
    return []
