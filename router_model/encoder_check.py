"""What a shipped encoder may consist of: operators that transformers export to, no more.

Unlike a policy graph it makes tensors whose size stands in the file as a number (`Expand`,
`Range`), so a foreign encoder can ask for much memory: take bundles from where you trust.
"""

from __future__ import annotations

from tierwise.router_model.encoder import MAX_MODEL_BYTES
from tierwise.router_model.graph_check import Limits

_STANDARD = """
    Abs Add And ArgMax Cast Clip Concat Cos CumSum Div Equal Erf Exp Expand Flatten Gather
    GatherElements GatherND Gelu Gemm Greater GreaterOrEqual Identity LayerNormalization Less
    LessOrEqual Log MatMul Max Min Mul Neg Not Or Pow Range ReduceL2 ReduceMax ReduceMean
    ReduceSum Relu Reshape Shape Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose
    Unsqueeze Where
"""
ENCODER = Limits(
    "encoder",
    MAX_MODEL_BYTES,
    {"": 20},
    frozenset(("", op) for op in _STANDARD.split()),
    bounded=False,
)
