#!/usr/bin/env python3
"""Compares the Ascend simulator's interpreter with onnxruntime, one small model at a time.

    python3 -m venv /opt/ort && /opt/ort/bin/pip install onnxruntime onnx numpy
    /opt/ort/bin/python tools/check_ascend_sim.py build/dev/ascend_sim/bin/run_onnx
"""
import pathlib, subprocess, sys, tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(1)
TYPES = {np.dtype("float32"): TensorProto.FLOAT, np.dtype("int64"): TensorProto.INT64, np.dtype("int32"): TensorProto.INT32,
         np.dtype("bool"): TensorProto.BOOL, np.dtype("float16"): TensorProto.FLOAT16}


def f(*shape): return np.asarray(RANDOM.standard_normal(shape), dtype="float32")
def positive(*shape): return np.asarray(np.abs(f(*shape)) + np.float32(0.1))
def i(*values): return np.array(values, dtype="int64")


def cases():
    """(opset, operator, inputs, constants after them, attributes, number of outputs)"""
    for op in "Add Sub Mul Div Pow".split():
        for a, b in [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((2, 1, 4), (3, 1)), ((), (5,)), ((1, 64, 200, 9), (1, 64, 1, 1))]:
            yield 17, op, [positive(*a), positive(*b)], [], {}, 1
    for op in "Equal Less Greater LessOrEqual GreaterOrEqual".split():
        yield 17, op, [RANDOM.integers(0, 3, (4, 5)), RANDOM.integers(0, 3, (5,))], [], {}, 1
    yield 17, "LeakyRelu", [f(3, 5)], [], dict(alpha=0.2), 1
    for op in "Erf Sigmoid Tanh Exp Sin Cos Neg Relu Abs".split():
        yield 17, op, [3 * f(3, 50)], [], {}, 1
    for op in "Sqrt Reciprocal Log".split():
        yield 17, op, [positive(3, 50)], [], {}, 1
    for n, c, h, w, o, k, s, p, d, g in [(1, 3, 9, 7, 5, 3, 1, (1, 1, 1, 1), 1, 1), (2, 4, 10, 10, 8, 3, 2, (1, 1, 1, 1), 1, 1), (1, 8, 6, 5, 20, 1, 1, (0, 0, 0, 0), 1, 1),
                                        (2, 6, 17, 33, 7, 3, 2, (0, 0, 1, 1), 1, 1), (1, 2, 20, 20, 3, 5, 3, (2, 1, 0, 2), 2, 1), (1, 6, 8, 8, 9, 3, 1, (1, 1, 1, 1), 1, 3),
                                        (1, 64, 32, 32, 200, 3, 1, (1, 1, 1, 1), 1, 1), (1, 300, 16, 16, 30, 1, 2, (0, 0, 0, 0), 1, 1)]:
        yield 17, "Conv", [f(n, c, h, w)], [f(o, c // g, k, k), f(o)], dict(kernel_shape=[k, k], strides=[s, s], pads=list(p), dilations=[d, d], group=g), 1
    yield 17, "Conv", [f(1, 4, 9, 9)], [f(5, 4, 3, 3)], dict(auto_pad="SAME_UPPER", strides=[2, 2]), 1
    for a, b in [((5, 7), (7, 3)), ((2, 5, 7), (7, 3)), ((2, 4, 70, 40), (2, 4, 40, 77)), ((3, 1, 5, 6), (4, 6, 2)), ((7,), (7, 3)), ((300, 600), (600, 500)), ((2, 3, 7), (7,)), ((1, 2, 600, 40), (1, 2, 40, 600))]:
        yield 17, "MatMul", [f(*a), f(*b)], [], {}, 1
    for ta in (0, 1):
        for tb in (0, 1):
            yield 17, "Gemm", [f(*((7, 5) if ta else (5, 7))), f(*((9, 7) if tb else (7, 9))), f(9)], [], dict(transA=ta, transB=tb, alpha=0.5, beta=2.0), 1
    for axis in (-1, 0, 1): yield 17, "Softmax", [5 * f(4, 6, 9)], [], dict(axis=axis), 1
    yield 17, "InstanceNormalization", [f(2, 4, 50)], [f(4), f(4)], dict(epsilon=1e-6), 1
    yield 17, "InstanceNormalization", [f(2, 4, 6, 7)], [f(4), f(4)], {}, 1
    yield 17, "LayerNormalization", [f(3, 5, 32)], [f(32), f(32)], dict(axis=-1, epsilon=1e-5), 1
    for op in "ReduceMean ReduceMax ReduceMin".split():
        for axes in ([-1], [0, 2], [1]):
            for keep in (0, 1): yield 17, op, [f(3, 4, 5)], [], dict(axes=axes, keepdims=keep), 1
    yield 17, "ReduceSum", [f(3, 4, 5)], [i(1, -1)], dict(keepdims=1), 1
    yield 17, "Where", [f(3, 4) > 0, f(3, 4), f(4)], [], {}, 1
    yield 17, "Clip", [f(30)], [np.float32(-0.5), np.float32(0.5)], {}, 1
    for axis in (0, 1, -1): yield 17, "Concat", [f(2, 3, 4), f(2, 3, 4), f(2, 3, 4)], [], dict(axis=axis), 1
    yield 17, "Split", [f(2, 9, 3)], [i(2, 4, 3)], dict(axis=1), 3
    yield 17, "Split", [f(2, 9, 3)], [], dict(axis=1), 3
    for start, end, axes, steps in [((1,), (3,), (1,), (1,)), ((-3,), (9223372036854775807,), (-1,), (1,)), ((0, 4), (2, 0), (0, 1), (1, -2)), ((5,), (-99,), (1,), (-1,))]:
        yield 17, "Slice", [f(3, 6, 5)], [i(*start), i(*end), i(*axes), i(*steps)], {}, 1
    for shape in ((6, 4), (0, -1), (2, 1, 12), (-1,)): yield 17, "Reshape", [f(2, 3, 4)], [i(*shape)], {}, 1
    for perm in ((0, 2, 1, 3), (3, 2, 1, 0), (0, 1, 3, 2), (1, 0, 2, 3)): yield 17, "Transpose", [f(2, 3, 4, 5)], [], dict(perm=list(perm)), 1
    yield 17, "Squeeze", [f(2, 1, 3, 1)], [i(1, -1)], {}, 1
    yield 17, "Unsqueeze", [f(2, 3)], [i(0, -1)], {}, 1
    for axis in (0, 1, 2, -1): yield 17, "Flatten", [f(2, 3, 4)], [], dict(axis=axis), 1
    yield 17, "Gather", [f(9, 4)], [i(0, 8, -1, 3).reshape(2, 2)], dict(axis=0), 1
    yield 17, "Gather", [f(3, 9, 4)], [i(1, 5)], dict(axis=1), 1
    yield 17, "Expand", [f(2, 1, 4)], [i(3, 1, 5, 1)], {}, 1
    yield 17, "Tile", [f(2, 3, 4)], [i(2, 1, 3)], {}, 1
    for kind in (TensorProto.INT32, TensorProto.FLOAT16, TensorProto.BOOL): yield 17, "Cast", [np.asarray(4 * f(20))], [], dict(to=kind), 1
    yield 17, "Cast", [RANDOM.integers(-9, 9, 20)], [], dict(to=TensorProto.FLOAT), 1
    yield 17, "Identity", [f(4)], [], {}, 1
    yield 17, "Shape", [f(4, 2)], [], {}, 1
    yield 17, "ConstantOfShape", [], [i(2, 3)], dict(value=helper.make_tensor("v", TensorProto.FLOAT, [1], [2.5])), 1
    yield 17, "Resize", [f(1, 2, 3, 5)], [None, None, i(1, 2, 6, 10)], dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), 1
    yield 17, "Resize", [f(1, 2, 3, 5)], [None, np.array([1, 1, 2, 2], "float32")], dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), 1
    for mode in ("constant", "edge", "reflect"): yield 17, "Pad", [f(1, 2, 5, 6)], [i(0, 0, 1, 2, 0, 0, 3, 1)], dict(mode=mode), 1
    for op in "Add Mul Div".split(): yield 17, op, [positive(40).astype("float16"), positive(40).astype("float16")], [], {}, 1
    yield 14, "Softmax", [f(4, 6)], [], {}, 1
    yield 11, "Softmax", [f(4, 6, 5)], [], dict(axis=1), 1
    yield 11, "Squeeze", [f(2, 1, 3)], [], dict(axes=[1]), 1


def model_of(opset, op, inputs, constants, attributes, outputs):
    names, infos, weights = [], [], []
    for n, value in enumerate(inputs):
        names.append(f"x{n}")
        infos.append(helper.make_tensor_value_info(names[-1], TYPES[value.dtype], list(value.shape)))
    for n, value in enumerate(constants):
        names.append("" if value is None else f"c{n}")
        if value is not None: weights.append(numpy_helper.from_array(np.asarray(value), names[-1]))
    results = [f"y{n}" for n in range(outputs)]
    node = helper.make_node(op, names, results, name=op + "_0", **attributes)
    graph = helper.make_graph([node], "one", infos, [helper.make_empty_tensor_value_info(r) for r in results], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def main(program):
    worst, count, failed = {}, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for case in cases():
            opset, op, inputs, *_ = case
            model = model_of(*case)
            onnx.save(model, folder / "m.onnx")
            session = onnxruntime.InferenceSession(str(folder / "m.onnx"), providers=["CPUExecutionProvider"])
            right = session.run(None, {f"x{n}": value for n, value in enumerate(inputs)})
            for n, value in enumerate(inputs): value.tofile(folder / f"x{n}")
            ran = subprocess.run([program, folder / "m.onnx", *[folder / f"x{n}" for n in range(len(inputs))], folder / "y"],
                                 capture_output=True, text=True)
            count += 1
            if ran.returncode:
                failed += 1
                print(f"{op}: {ran.stderr.strip()}")
                continue
            for n, want in enumerate(right):
                got = np.fromfile(folder / f"y{n}", want.dtype)
                if got.size != want.size:
                    failed += 1
                    print(f"{op}: {got.size} elements, {want.size} wanted")
                    continue
                apart = np.abs(got.astype("float64") - want.reshape(-1).astype("float64")).max(initial=0)
                error = apart / max(1e-6, np.abs(want.astype("float64")).max(initial=0))
                worst[op] = max(worst.get(op, 0), error)
                if error > (2e-3 if want.dtype == np.float16 else 2e-6):
                    failed += 1
                    print(f"{op} {[v.shape for v in inputs]}: off by {error:.2e}")
    print(f"{count} models, {len(worst)} operators, {failed} failed; largest relative difference {max(worst.values()):.1e} "
          f"({max(worst, key=worst.get)})")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
