"""What the graphs in the folder of a SavedModel do, read without running anything in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from keras_retinanet.system.files import read_file
from keras_retinanet.system.types import StrPath

if TYPE_CHECKING:
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# The graphs of a SavedModel, protocol buffers with small constants: those of ours take 5 MB.
MAX_GRAPH_BYTES = 2**28
# Operations of TensorFlow that read or write files, print, use the network or call Python; no
# network has them.
_FORBIDDEN = re.compile(
    r"Abort|Checkpoint|Collective|Dataset|Debug|File|FixedUnigram|ImmutableConst|ImportEvent|"
    r"Iterator|Load|Print|PyFunc|Queue|Reader|Record|Recv|Remote|Restore|Save|Send|Summary|Table|"
    r"TPU|Vocab"
)
# Those with which TensorFlow stores and loads the weights.
_OF_SAVER = {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"}
# Objects that read files, or run functions of their own, as they are loaded.
_ACTIVE_OBJECTS = {"asset", "resource"}


def check_saved_model(folder: StrPath) -> None:
    """Check that the graphs of a SavedModel do nothing but compute.

    Raises:
        OSError: if the graphs cannot be read.
        ValueError: naming the folder, if they do more, or are damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    content = SavedModel()
    data = read_file(os.path.join(folder, "saved_model.pb"), MAX_GRAPH_BYTES)
    try:
        content.ParseFromString(data)
    except DecodeError:
        raise ValueError(f"{folder}: saved_model.pb is damaged, or of another kind") from None
    found = sorted({use for graph in content.meta_graphs for use in _forbidden_uses(graph)})
    if found:
        raise ValueError(
            f"{folder}: expected a network, got a program that uses {', '.join(found[:5])}"
        )


def _forbidden_uses(graph: MetaGraphDef) -> Iterator[str]:
    """Yield what a graph does besides computing."""
    functions = {one.signature.name: one.node_def for one in graph.graph_def.library.function}
    called = _reachable(functions, _signatures(graph))
    for name, nodes in [("", graph.graph_def.node), *functions.items()]:
        for node in nodes:
            is_saver = node.op in _OF_SAVER and name not in called
            if _FORBIDDEN.search(node.op) and not is_saver:
                yield node.op
    for thing in graph.object_graph_def.nodes:
        if (kind := thing.WhichOneof("kind")) in _ACTIVE_OBJECTS:
            yield f"an object of the kind {kind}"


def _signatures(graph: MetaGraphDef) -> list[str]:
    """Return the functions that are called by the names of signatures."""
    objects = graph.object_graph_def.nodes
    roots = [child for one in objects[:1] for child in one.children]
    maps = [child.node_id for child in roots if child.local_name == "signatures"]
    entries = [objects[child.node_id] for place in maps for child in objects[place].children]
    return [entry.bare_concrete_function.concrete_function_name for entry in entries]


def _reachable(functions: Mapping[str, Iterable[NodeDef]], start: Iterable[str]) -> set[str]:
    """Return the functions that some functions call, directly or not, and these themselves."""
    found: set[str] = set()
    left = list(start)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            for node in functions.get(name, ()):
                for value in node.attr.values():
                    left += [one.name for one in (value.func, *value.list.func) if one.name]
    return found
