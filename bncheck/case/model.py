"""The case format as types: the JSON Schema, the errors and the documentation of every key are generated from these.

Words are Keras's, because the questions are asked in them: ``axis`` names the axes that *keep* their own statistics,
``momentum`` is the weight of the *old* moving statistic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticCustomError

from bncheck.case import related, rules
from bncheck.channels import Channels
from bncheck.semantics import EPSILON, MODE, MOMENTUM, Mode, Semantics

Dtype = Literal["float16", "bfloat16", "float32", "float64"]
TensorName = Literal[
    "output", "moving_mean", "moving_variance", "inference", "gradient_x", "gradient_gamma", "gradient_beta"
]
Checked = Literal["output", "moving_mean", "moving_variance", "inference", "gradients"]
"""What ``check`` lists: tensors by name; ``gradients`` is all that the case has."""

MAX_ELEMENTS = 1 << 26
"""Values that one tensor may have, unless ``--max-elements`` says otherwise: 256 MiB in float32."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def _checked(rule: Callable[..., list[rules.Broken]], *arguments: Any, root: tuple[str, ...] | None = None) -> None:
    """Raise what ``rule`` finds as one error that carries it all, each with its place below the field (or ``root``)."""
    if broken := rule(*arguments):
        raise PydanticCustomError("rules", "{message}", {"message": broken[0].message, "broken": broken, "root": root})


def _as_written(value: Any, handler: Callable[[Any], float]) -> Any:
    handler(value)
    return value


WrittenNumber = Annotated[float, WrapValidator(_as_written)]
"""Keeps how many digits were written."""
PerChannel = Annotated[float | list[float], Field(description="a number, or a list with one entry for each kept index")]


class NormalArguments(Model):
    mean: PerChannel = 0.0
    std: PerChannel = 1.0


class UniformArguments(Model):
    low: PerChannel
    high: PerChannel


class DropoutArguments(Model):
    rate: Annotated[float, Field(ge=0, lt=1)]
    of: Values


class ReplaceArguments(Model):
    of: Values
    at: Annotated[
        dict[str, Annotated[float, Field(allow_inf_nan=True)]],
        Field(min_length=1, description="by index, as in `expected`", examples=['{"[0, 1]": .nan}']),
    ]


class Arange(Model):
    """start, stop and, if it is not 1, step, as in NumPy; either one batch or all batches in C order."""

    arange: Annotated[list[float], Field(min_length=2, max_length=3)]


class Constant(Model):
    constant: PerChannel


class Normal(Model):
    normal: NormalArguments


class Uniform(Model):
    uniform: UniformArguments


class File(Model):
    """A .npy file beside the case or in a folder below it."""

    file: str


class Relu(Model):
    relu: Values


class Dropout(Model):
    """Zero with probability ``rate``, the rest divided by ``1 - rate``."""

    dropout: DropoutArguments


class Replace(Model):
    """Other values, with single ones in place of some: a number, or, here alone, .nan, .inf or -.inf."""

    replace: ReplaceArguments


_RECIPES = ("arange", "constant", "normal", "uniform", "file", "relu", "dropout", "replace")


def _recipe(value: Any) -> str | None:
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return next((name for name in _RECIPES if name in value), None)
    return next((name for name in _RECIPES if isinstance(value, Model) and hasattr(value, name)), None)


def _nested(value: list[Any]) -> list[Any]:
    _checked(rules.nested_numbers, value)
    return value


Nested = Annotated[
    list[Any],
    AfterValidator(_nested),
    WithJsonSchema({"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "array"}]}}),
]

Values = Annotated[
    Annotated[Arange, Tag("arange")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[Normal, Tag("normal")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[File, Tag("file")]
    | Annotated[Relu, Tag("relu")]
    | Annotated[Dropout, Tag("dropout")]
    | Annotated[Replace, Tag("replace")]
    | Annotated[Nested, Tag("list")],
    Discriminator(
        _recipe,
        custom_error_type="values",
        custom_error_message="values are a nested list or one of "
        + ", ".join(_RECIPES)
        + "; write for example `values: {normal: {mean: 0, std: 1}}`",
    ),
]


class Input(Model):
    shape: Annotated[
        list[Annotated[int, Field(ge=0)]],
        Field(min_length=1, description="the size of each axis", examples=["[2, 3, 4, 5]"]),
    ]
    layout: Annotated[
        str,
        Field(
            description="a distinct letter for each axis: N batch, C channels, D H W space, L or T length, F features",
            examples=["NCHW"],
        ),
    ]
    dtype: Dtype = "float32"
    values: Values | None = Field(default=None, description="absent: data that tell defects apart")

    @field_validator("shape")
    @classmethod
    def _shape(cls, shape: list[int], info: ValidationInfo) -> list[int]:
        _checked(rules.size, shape, (info.context or {}).get("max_elements", MAX_ELEMENTS))
        return shape

    @field_validator("layout")
    @classmethod
    def _layout(cls, layout: str, info: ValidationInfo) -> str:
        _checked(rules.layout, layout, info.data.get("shape"))
        return layout


class Parameters(Model):
    """Each a number, or a list with one entry for each kept index, flat or nested as x with its other axes removed."""

    dtype: Dtype | None = Field(
        default=None, description="of all four; absent: x's. float32 may be said beside a 16-bit x"
    )
    gamma: float | Nested | None = None
    beta: float | Nested | None = None
    moving_mean: float | Nested | None = None
    moving_variance: float | Nested | None = None


def _flags(value: list[Any]) -> list[Any]:
    _checked(rules.nested_flags, value)
    return value


Mask = Annotated[
    list[Any],
    AfterValidator(_flags),
    WithJsonSchema({"type": "array", "items": {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, {"type": "array"}]}}),
]


class Tolerance(Model):
    """Replaces the bound by ``atol + rtol*|expected|``."""

    rtol: Annotated[float, Field(ge=0, examples=["1.0e-5"])]
    atol: Annotated[float, Field(ge=0, examples=["1.0e-6"])]


Expected = list[WrittenNumber] | dict[str, WrittenNumber]


class Case(Model):
    """One case. In a file, ``matrix`` makes several of it."""

    title: Annotated[str, Field(min_length=1, description="in a sentence what the case pins", examples=["…"])]
    why: str | None = None
    links: list[str] = []
    input: Input = Field(examples=["{shape: [2, 3, 4, 5], layout: NCHW}"])
    axis: Annotated[
        int | list[int],
        Field(
            description="the axes that keep their own statistics; [] is one statistic for everything", examples=["-1"]
        ),
    ]
    mode: Annotated[Literal["inference", "training", "default"], Field(examples=["training"])]
    epsilon: Annotated[float, Field(ge=0)] | Literal["default"] = EPSILON
    momentum: Annotated[float, Field(ge=0, le=1)] | Literal["default", "cumulative"] = Field(
        default=MOMENTUM, description="the weight of the old moving statistic"
    )
    center: bool = True
    scale: bool = True
    trainable: bool = Field(
        default=True, description="false: the layer is frozen, so it infers and updates nothing, whatever the mode"
    )
    parameters: Parameters = Parameters()
    steps: Annotated[int, Field(ge=1, le=10_000, description="training steps, each on a fresh batch")] = 1
    repeat: Annotated[int, Field(ge=1, le=100, description="equal calls, which must give equal bits")] = 1
    check: Annotated[list[Checked], Field(min_length=1)] | None = Field(
        default=None,
        description="absent: output, and in training the moving statistics too",
        validate_default=True,  # the validator also judges whether the values fit the number of batches
    )
    upstream: Values | None = Field(
        default=None,
        description="the gradient with respect to the output, of which `gradients` are made: one batch, like x's "
        "values; absent: data that tell defects apart",
    )
    mask: Mask | None = Field(
        default=None,
        description="in training, for each position over the axes that are averaged over, whether it enters the "
        "batch's statistics: true or 1, false or 0; nested as x with its kept axes removed, or flat",
    )
    virtual_batch_size: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="training normalizes virtual batches of so many rows, each by its own statistics, whose mean "
        "enters the moving ones; of G virtual batches each has every G-th row; absent: the batch is one",
    )
    expected: dict[TensorName, Expected] = Field(
        default={}, description="numbers from a source, which guard the reference: a flat list, or by index"
    )
    tolerance: Tolerance | None = None
    adapt: bool = Field(default=True, description="false: hand the tensor over as it is")
    relation: related.RelationName | None = Field(
        default=None, description="judged without a reference: by what two calls have to do with each other"
    )
    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] | None = Field(
        default=None, description="dotted paths, each with the values that it takes in turn"
    )

    @field_validator("axis")
    @classmethod
    def _axis(cls, axis: int | list[int], info: ValidationInfo) -> int | list[int]:
        if "input" in info.data:
            _checked(rules.axis, axis, len(info.data["input"].shape))
        return axis

    @field_validator("parameters")
    @classmethod
    def _parameters(cls, parameters: Parameters, info: ValidationInfo) -> Parameters:
        if "input" in info.data and "axis" in info.data:
            _checked(rules.parameters, parameters, _channels(info.data), info.data["input"].dtype)
        return parameters

    @field_validator("steps")
    @classmethod
    def _steps(cls, steps: int, info: ValidationInfo) -> int:
        if "mode" in info.data and "input" in info.data:
            limit = (info.context or {}).get("max_elements", MAX_ELEMENTS)
            _checked(rules.steps, steps, info.data["mode"], info.data["input"].shape, limit)
        return steps

    @field_validator("check")
    @classmethod
    def _check(cls, check: list[Checked] | None, info: ValidationInfo) -> list[Checked] | None:
        if check is not None and "mode" in info.data:
            _checked(rules.check, check, info.data["mode"])
        if check is not None and not info.data.get("trainable", True):
            _checked(rules.frozen, check)
        if "input" in info.data and "axis" in info.data and "steps" in info.data:
            batches = info.data["steps"] + ("inference" in (check or ()))
            folder = (info.context or {}).get("folder")
            recipe = info.data["input"].values
            _checked(rules.values, recipe, _channels(info.data), batches, folder, root=("input", "values"))
        return check

    @field_validator("upstream")
    @classmethod
    def _upstream(cls, upstream: Any, info: ValidationInfo) -> Any:
        if "input" in info.data and "axis" in info.data and "check" in info.data:
            checked = "gradients" in (info.data["check"] or ())
            folder = (info.context or {}).get("folder")
            _checked(rules.upstream, upstream, _channels(info.data), checked, folder)
        return upstream

    @field_validator("mask")
    @classmethod
    def _mask(cls, mask: list[Any] | None, info: ValidationInfo) -> list[Any] | None:
        if mask is not None and {"input", "axis", "mode", "trainable", "check"} <= info.data.keys():
            trains = info.data["mode"] == "training" and info.data["trainable"]
            _checked(rules.mask, mask, _channels(info.data), trains, "gradients" in (info.data["check"] or ()))
        return mask

    @field_validator("virtual_batch_size")
    @classmethod
    def _virtual_batch_size(cls, rows: int | None, info: ValidationInfo) -> int | None:
        if rows is not None and {"input", "axis", "trainable", "check", "mask"} <= info.data.keys():
            there = {
                "a mask": info.data["mask"] is not None,
                "gradients": "gradients" in (info.data["check"] or ()),
                "`trainable: false`": not info.data["trainable"],
            }
            beside = [name for name, is_there in there.items() if is_there]
            _checked(rules.virtual_batches, rows, _channels(info.data), info.data["input"].layout, beside)
        return rows

    @field_validator("expected")
    @classmethod
    def _expected(cls, expected: dict[TensorName, Expected], info: ValidationInfo) -> dict[TensorName, Expected]:
        if "input" in info.data and "axis" in info.data:
            parameters = {"gradient_gamma": "scale", "gradient_beta": "center"}
            lacking = [name for name, key in parameters.items() if info.data.get(key) is False]
            _checked(rules.expected, expected, _channels(info.data), info.data.get("check") or (), lacking)
        return expected

    @field_validator("relation")
    @classmethod
    def _relation(cls, relation: related.RelationName | None, info: ValidationInfo) -> related.RelationName | None:
        if relation is not None:
            _checked(related.broken, relation, info.data)
        return relation

    @property
    def channels(self) -> Channels:
        return _channels({"input": self.input, "axis": self.axis})

    @property
    def checked(self) -> tuple[TensorName, ...]:
        """The tensors to judge."""
        if self.check is not None:
            named: list[TensorName] = []
            for name in self.check:
                named += self._gradients if name == "gradients" else [name]
            return tuple(named)
        names: tuple[TensorName, ...] = ("output",)
        if self.mode == "training":
            names = ("output", "moving_mean", "moving_variance")
        return names if self.relation is None else related.default_check(self.relation, names)

    @property
    def gradients(self) -> bool:
        """Whether gradients are judged."""
        return "gradients" in (self.check or ())

    @property
    def _gradients(self) -> list[TensorName]:
        of_gamma: list[TensorName] = ["gradient_gamma"] if self.scale else []
        of_beta: list[TensorName] = ["gradient_beta"] if self.center else []
        return ["gradient_x", *of_gamma, *of_beta]

    @property
    def parameters_dtype(self) -> Dtype:
        """What the parameters and the moving statistics have."""
        return self.parameters.dtype or self.input.dtype

    @property
    def batches(self) -> int:
        """How many batches the case needs: one a step, and one more where ``inference`` is checked."""
        return self.steps + ("inference" in self.checked)

    @property
    def requested(self) -> Semantics:
        """The reading that the case asks for; ``default`` reads as Keras does, and what is frozen infers."""
        mode: Mode = MODE if self.mode == "default" or not self.trainable else self.mode
        return Semantics(
            kept=self.channels.kept,
            mode=mode,
            epsilon=EPSILON if self.epsilon == "default" else self.epsilon,
            momentum=MOMENTUM if self.momentum == "default" else self.momentum,
            center=self.center,
            scale=self.scale,
            mask=None if self.mask is None else "left out",
            virtual=self.virtual_batch_size if mode == "training" else None,
        )


def _channels(data: dict[str, Any]) -> Channels:
    shape = tuple(data["input"].shape)
    axes = [data["axis"]] if isinstance(data["axis"], int) else data["axis"]
    return Channels(shape, tuple(sorted(a % len(shape) for a in axes)))
