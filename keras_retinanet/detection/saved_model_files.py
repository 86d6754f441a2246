"""What the graphs in the folder of a SavedModel do, read without running anything in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING

from keras_retinanet.system.files import read_file
from keras_retinanet.system.types import StrPath

if TYPE_CHECKING:
    from tensorflow.core.framework.attr_value_pb2 import AttrValue
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# The graph of a SavedModel, a protocol buffer with small constants: a ResNet-152 takes 2.7 MB and
# has 32,000 functions, objects, nodes and attributes of these.
MAX_GRAPH_BYTES = 2**24
MAX_PARTS = 500_000
# Operations of TensorFlow that read or write files, print, use the network or call Python; no
# network has them.
_FORBIDDEN = re.compile(
    r"Abort|Checkpoint|Collective|Dataset|Debug|Dump|File|FixedUnigram|ImmutableConst|ImportEvent|"
    r"Iterator|Load|Print|Proto|PyFunc|Queue|Reader|Record|Recv|Remote|Restore|Rpc|Save|Send|"
    r"Skipgram|Summary|Table|TPU|Vocab|Xla"
)
# Those with which TensorFlow stores and loads the weights.
_OF_SAVER = {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"}
# Objects that read files, or run functions of their own, as they are loaded.
_ACTIVE_OBJECTS = {"asset", "resource"}
# Where a graph names what loaders run first: a collection or a signature.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_INIT_SIGNATURE = "__saved_model_init_op"


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
    graphs = content.meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        # TensorFlow would load others as those of TensorFlow 1, which run operations at once.
        got = "one without" if len(graphs) == 1 else f"{len(graphs)} graphs"
        raise ValueError(
            f"{folder}: expected one graph with its objects, as TensorFlow 2 saves them, got {got}"
        )
    if sum(1 for _ in islice(_parts(graphs[0]), MAX_PARTS + 1)) > MAX_PARTS:
        raise ValueError(f"{folder}: expected a graph of at most {MAX_PARTS} parts, got more")
    found = sorted(set(_forbidden_uses(graphs[0])))
    if found:
        raise ValueError(
            f"{folder}: expected a network, got a program that uses {', '.join(found[:5])}"
        )


def _parts(graph: MetaGraphDef) -> Iterator[str]:
    """Yield a name, perhaps an empty one, for each part of a graph that is looked at."""
    yield from _called(graph.graph_def.node)
    for function in graph.graph_def.library.function:
        yield function.signature.name
        yield from _called(function.node_def)
    for thing in graph.object_graph_def.nodes:
        yield thing.registered_name


def _forbidden_uses(graph: MetaGraphDef) -> Iterator[str]:
    """Yield what a graph does besides computing."""
    library = graph.graph_def.library.function
    savers = _saver_functions(graph)
    bodies = [(function.node_def, function.signature.name in savers) for function in library]
    for nodes, is_saver in [(graph.graph_def.node, False), *bodies]:
        for node in nodes:
            if _FORBIDDEN.search(node.op) and not (is_saver and node.op in _OF_SAVER):
                yield node.op
    if any("api_implements" in function.attr for function in library):
        yield "functions in place of others"  # which the optimizer of graphs chooses
    idle = {node.name for node in graph.graph_def.node if node.op == "NoOp" and not node.input}
    if not idle.issuperset(_init_ops(graph)):
        yield "operations that run first"
    for thing in graph.object_graph_def.nodes:
        if (kind := thing.WhichOneof("kind")) in _ACTIVE_OBJECTS:
            yield f"an object of the kind {kind}"
        if thing.saveable_objects or thing.registered_name or thing.registered_saver:
            yield "an object that loads itself"


def _init_ops(graph: MetaGraphDef) -> Iterator[str]:
    """Yield the names of the nodes that loaders run first; TensorFlow 2 writes idle ones."""
    for key in _INIT_COLLECTIONS:
        if key in graph.collection_def:
            yield from graph.collection_def[key].node_list.value
    if _INIT_SIGNATURE in graph.signature_def:
        for output in graph.signature_def[_INIT_SIGNATURE].outputs.values():
            yield output.name


def _saver_functions(graph: MetaGraphDef) -> set[str]:
    """Return the functions that only the saver of a graph calls."""
    saver = graph.saver_def
    names = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
    nodes, library = graph.graph_def.node, graph.graph_def.library
    own = set(_called(node for node in nodes if node.name in names))
    others = set(_called(node for node in nodes if node.name not in names))
    for function in library.function:
        others.update(_called(function.node_def))
    for gradient in (*library.gradient, *library.registered_gradients):
        others.add(gradient.gradient_func)
    others.update(graph.object_graph_def.concrete_functions)
    for thing in graph.object_graph_def.nodes:
        others.add(thing.bare_concrete_function.concrete_function_name)
        others.update(thing.function.concrete_functions)
    return own - others


def _called(nodes: Iterable[NodeDef]) -> Iterator[str]:
    """Yield the functions that nodes name: as their operation, or in an attribute."""
    for node in nodes:
        yield node.op
        yield from _named(node.attr)


def _named(attributes: Mapping[str, AttrValue]) -> Iterator[str]:
    for value in attributes.values():
        for function in chain((value.func,), value.list.func):
            yield function.name
            yield from _named(function.attr)
