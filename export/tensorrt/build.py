"""Compiles one graph to one engine, in the process that ``engines`` starts for it.

The compiler is imported by name: ``tensorrt_rtx``, which compiles for any GPU on any machine, or classic ``tensorrt``,
which compiles for the GPU in the machine.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any, BinaryIO

import onnx_ir as ir

from engine.api.errors import DeviceUnavailable
from engine.runtime.gpu import present_gpu
from engine.runtime.process_memory import peak_resident_bytes
from export.attention import spell_out
from export.errors import ExportError
from export.tensorrt.compiler_log import CompilerLog, means_out_of_memory
from export.tensorrt.request import BuildAnswer, BuildRequest


def build(request: BuildRequest) -> BuildAnswer:
    """Compiles a graph and writes its engine. Raises ``ExportError``."""
    started = time.monotonic()
    trt = _import(request.module_name)
    log = CompilerLog()
    logger = _logger(trt, log)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, logger, request)
    config = builder.create_builder_config()
    # In TF32 the solver would lose thirteen bits of every latent at every step.
    config.clear_flag(trt.BuilderFlag.TF32)
    _choose_target(trt, config, request)
    _add_profile(builder, network, config, request)
    with Path(request.engine_file).open("wb") as stream:
        try:
            is_built = _compile(trt, builder, network, config, stream)
        except MemoryError:
            is_built = False
            log.add("out of memory", is_error=True)
    if not is_built:
        raise ExportError(_refusal(request, log.summary()))
    if log.activation_bytes is None or log.weight_bytes is None:
        raise ExportError(
            f"{request.module_name} {trt.__version__} did not log how much memory the TensorRT engine "
            "takes, which the memory plan needs; use a version that does"
        )
    return BuildAnswer(
        compiler_version=trt.__version__,
        activation_bytes=log.activation_bytes,
        weight_bytes=log.weight_bytes,
        build_seconds=time.monotonic() - started,
        host_peak_bytes=peak_resident_bytes(),
    )


def _compile(trt: Any, builder: Any, network: Any, config: Any, stream: BinaryIO) -> bool:
    """Returns True if the engine was built. It is streamed to disk: host memory does not hold it beside the weights."""
    if not hasattr(builder, "build_serialized_network_to_stream"):  # older versions of classic TensorRT
        serialized = builder.build_serialized_network(network, config)
        if serialized is not None:
            stream.write(serialized)
        return serialized is not None

    class EngineWriter(trt.IStreamWriter):
        def __init__(self) -> None:
            trt.IStreamWriter.__init__(self)
            self.fault: OSError | None = None

        def write(self, data: bytes) -> int:
            try:
                return stream.write(data)
            except OSError as error:  # nothing may be raised through the compiler
                self.fault = error
                return 0

    writer = EngineWriter()
    is_built = builder.build_serialized_network_to_stream(network, config, writer)
    if writer.fault is not None:
        raise writer.fault
    return bool(is_built)


def _import(module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise ExportError(
            f"the compiler {module_name} cannot be imported ({error}); install it with: pip install '.[tensorrt]'"
        ) from error


def _logger(trt: Any, log: CompilerLog) -> Any:
    errors = (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR)

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            log.add(text, is_error=severity in errors)

    return Logger()


def _parse(trt: Any, network: Any, logger: Any, request: BuildRequest) -> None:
    """Parses the graph with attention spelled out; weights are read from the files that it points at."""
    parser = trt.OnnxParser(network, logger)
    model = ir.load(request.graph_file)
    spell_out(model)
    if parser.parse(ir.to_proto(model).SerializeToString(), request.graph_file):
        return
    faults = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = (
            f"node {error.node_name() or 'without a name'} ({error.node_operator()}): " if error.node_operator() else ""
        )
        faults.append(f"{node}{error.code().name}, {' '.join(error.desc().split())}")
    raise ExportError(f"{request.graph_file}: the compiler does not accept this graph: {'; '.join(faults)}")


def _choose_target(trt: Any, config: Any, request: BuildRequest) -> None:
    capability = request.compute_capability
    if not hasattr(trt, "ComputeCapability"):  # classic TensorRT times kernels on the GPU itself
        try:
            gpu = present_gpu()
        except DeviceUnavailable as error:
            raise ExportError(f"{request.module_name} compiles only on a machine with a GPU: {error}") from error
        if gpu.compute_capability != capability:
            raise ExportError(
                f"{request.module_name} compiles for the GPU in this machine, {gpu.name} "
                f"({gpu.compute_capability}), not for {capability}; use tensorrt_rtx or a machine with such a GPU"
            )
        return
    known = getattr(trt.ComputeCapability, capability.replace("sm_", "SM"), None)
    if known is None:
        raise ExportError(f"{request.module_name} {trt.__version__} does not compile for {capability}")
    config.num_compute_capabilities = 1
    config.set_compute_capability(known, 0)


def _add_profile(builder: Any, network: Any, config: Any, request: BuildRequest) -> None:
    """Adds a profile with the ranges of open axes; a graph without open axes needs none."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    free = [tensor for tensor in inputs if -1 in tuple(tensor.shape)]
    if not free:
        return
    profile = builder.create_optimization_profile()
    for tensor in free:
        lengths = [_lengths(tensor, axis, request) for axis in range(len(tensor.shape))]
        profile.set_shape(tensor.name, *zip(*lengths, strict=True))
    config.add_optimization_profile(profile)


def _lengths(tensor: Any, axis: int, request: BuildRequest) -> tuple[int, int, int]:
    length = tensor.shape[axis]
    if length != -1:
        return (length, length, length)
    name = tensor.get_dimension_name(axis)
    if name not in request.axes:
        raise ExportError(
            f"{request.graph_file}: axis {axis} of input {tensor.name}, {name!r}, has no fixed length and no range; "
            f"ranges are given for {', '.join(sorted(request.axes)) or 'no axis'}"
        )
    return request.axes[name]


def _refusal(request: BuildRequest, reason: str) -> str:
    remedy = (
        "compile on a machine with more memory, take a lower precision, or cut transformers into more --groups"
        if means_out_of_memory(reason)
        else "nothing was written"
    )
    return (
        f"{request.graph_file}: {request.module_name} cannot compile it for {request.compute_capability}: {reason}; "
        f"{remedy}"
    )
