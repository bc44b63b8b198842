"""What a case file may not say, where the error is reported, and what the message offers.

Each row is a text, the place (line:column, from 1) and a distinctive piece of the message; the text is the valid case
with one thing wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from valid_case import VALID, also, instead, load_text, places, problems_of, values


def inference(line: str) -> str:
    return instead("training", "inference", also(line))


UNKNOWN = {
    "key": (also("epsilom: 1"), "5:1", "unknown key `epsilom`; did you mean `epsilon`?"),
    "key like no other": (also("colour: red"), "5:1", "unknown key `colour`; known here are title, why, links, input,"),
    "key of input": (instead("NCL", "NCL, dtyp: float32"), "2:40", "unknown key `dtyp`; did you mean `dtype`?"),
    "key of parameters": (also("parameters: {gama: 1}"), "5:14", "unknown key `gama`; did you mean `gamma`?"),
    "key of tolerance": (also("tolerance: {rtol: 0, atol: 0, ulp: 1}"), "5:31", "unknown key `ulp`"),
    "argument": (values("{normal: {sdt: 1}}"), "2:58", "unknown key `sdt`; did you mean `std`?"),
    "argument within relu": (values("{relu: {relu: {constant: 1}, foo: 1}}"), "2:77", "unknown key `foo`"),
    "second recipe": (values("{constant: 1, normal: {}}"), "2:62", "`normal`"),
    "recipe": (values("{constnt: 1}"), "2:48", "one of arange, constant, normal, uniform, file, relu, dropout"),
    "recipe within dropout": (values("{dropout: {rate: 0.5, of: {}}}"), "2:74", "one of arange, constant"),
    "tensor": (also("expected: {ouput: [1]}"), "5:12", "ouput"),
    "checked tensor": (
        also("check: [output, moving_men]"),
        "5:17",
        "`output`, `moving_mean`, `moving_variance`, `inference` or `gradients`",
    ),
    "dtype": (instead("NCL", "NCL, dtype: fp16"), "2:47", "`float16`, `bfloat16`, `float32` or `float64`, not 'fp16'"),
    "mode": (instead("training", "eval"), "4:7", "`inference`, `training` or `default`, not 'eval'"),
    "momentum": (also("momentum: none"), "5:11", "a number or `default` or `cumulative`, not 'none'"),
}

KEYS = {
    "number": (also("1: x"), "5:1", "cannot be a key"),
    "boolean": (also("true: x"), "5:1", "cannot be a key"),
    "list": (also("expected: {output: {[0, 0, 0]: 1}}"), "5:21", "cannot be a key"),
    "merge": (instead("epsilon", "<<: *p", also("parameters: &p {gamma: 1}\nepsilon")), "6:1", "cannot be a key"),
    "given twice": (also("axis: 2"), "5:1", "`axis` is already given on line 3; remove one of the two"),
    "given twice in quotes": (also('"axis": 2'), "5:1", "`axis` is already given on line 3"),
    "given twice in a mapping": (
        also("parameters: {gamma: 1, gamma: 1}"),
        "5:24",
        "`gamma` is already given on line 5",
    ),
    "given twice in a block": (also("parameters:\n  beta: 1\n  gamma: 1\n  beta: 2"), "8:3", "already given on line 6"),
}

TAGS = {
    tag: (also(f"epsilon: {tag}"), "5:10", "YAML tags are not allowed; remove the tag")
    for tag in (
        "!!python/object:os.system {}",
        "!!python/object/apply:os.system [ls]",
        "!!int 3",
        "!!float 3",
        "!<tag:yaml.org,2002:int> 3",
        "!foo 3",
        "! 3",
        "&anchor !foo 3",
        "!foo &anchor 3",
    )
} | {
    "on a list": (also("parameters: {gamma: !foo [1, 2, 3]}"), "5:21", "tags are not allowed"),
    "on a mapping": (also("parameters: !!set {gamma: null}"), "5:13", "tags are not allowed"),
    "on the case": (f"!foo\n{VALID}", "1:1", "tags are not allowed"),
    "on a key": (also("!!str epsilon: 3"), "5:1", "tags are not allowed"),
    "of one's own on a key": (also("!foo epsilon: 3"), "5:1", "tags are not allowed"),
}

NUMBERS = {
    "nan": (also("epsilon: .nan"), "5:10", "should be a finite number or `default`, not nan"),
    "infinity": (also("epsilon: .inf"), "5:10", "should be a finite number or `default`, not inf"),
    "minus infinity": (also("epsilon: -.inf"), "5:10", "should be a finite number or `default`, not -inf"),
    "beyond float64": (also("epsilon: 1e999"), "5:10", "should be a finite number"),
    "integer beyond float64": (also(f"epsilon: 1{'0' * 400}"), "5:10", "number"),
    "integer beyond Python": (also(f"epsilon: 1{'0' * 5000}"), "5:10", "number"),
    "boolean": (also("epsilon: true"), "5:10", "should be a number or `default`, not true"),
    "quoted": (also("epsilon: '1e-3'"), "5:10", "should be a number or `default`, not '1e-3'"),
    "text": (also("epsilon: small"), "5:10", "should be a number or `default`, not 'small'"),
    "null": (also("epsilon: ~"), "5:10", "should be a number or `default`, not null"),
    "list": (also("epsilon: [1]"), "5:10", "should be a number or `default`, not [1]"),
    "mapping": (also("epsilon: {}"), "5:10", "should be a number or `default`, not {}"),
    "negative epsilon": (also("epsilon: -1e-3"), "5:10", "should be at least 0 or `default`, not -0.001"),
    "momentum above 1": (also("momentum: 1.1"), "5:11", "should be at most 1"),
    "negative momentum": (also("momentum: -0.1"), "5:11", "should be at least 0"),
    "boolean momentum": (also("momentum: false"), "5:11", "should be a number"),
    "nan parameter": (also("parameters: {gamma: .nan}"), "5:21", "finite number"),
    "nan in a list": (also("parameters: {gamma: [1, .nan, 2]}"), "5:25", "finite number, not nan"),
    "boolean in a list": (also("parameters: {gamma: [1, true, 2]}"), "5:25", "finite number, not true"),
    "text in a list": (also("parameters: {gamma: [1, '2', 2]}"), "5:25", "finite number, not '2'"),
    "null in a list": (also("parameters: {gamma: [1, ~, 2]}"), "5:25", "finite number, not null"),
    "mapping for a parameter": (also("parameters: {gamma: {}}"), "5:21", "should be a number or a list, not {}"),
    "boolean for a parameter": (also("parameters: {gamma: true}"), "5:21", "should be a number or a list, not true"),
    "nan in the values": (values("{constant: .nan}"), "2:59", "finite number"),
    "boolean in arange": (values("{arange: [false, 24]}"), "2:58", "should be a number, not false"),
    "infinity in arange": (values("{arange: [0, .inf]}"), "2:61", "finite number, not inf"),
    "boolean deviation": (values("{normal: {std: true}}"), "2:63", "number"),
    "boolean in nested values": (values("[[[1, true]]]"), "2:54", "finite number, not true"),
    "nan in expected": (also("expected: {moving_mean: [1, .nan, 2]}"), "5:29", "finite number, not nan"),
    "boolean in expected": (also("expected: {moving_mean: [1, true, 2]}"), "5:29", "a number, not true"),
    "nan in indexed expected": (also("expected: {output: {'[0,0,0]': .nan}}"), "5:32", "finite number, not nan"),
    "text in indexed expected": (also("expected: {output: {'[0,0,0]': '1'}}"), "5:32", "a number, not '1'"),
    "nan in tolerance": (also("tolerance: {rtol: .nan, atol: 0}"), "5:19", "finite number"),
    "boolean steps": (also("steps: true"), "5:8", "should be an integer, not true"),
    "fractional steps": (also("steps: 1.0"), "5:8", "should be an integer, not 1.0"),
    "quoted steps": (also("steps: '1'"), "5:8", "should be an integer, not '1'"),
    "number for a boolean": (also("center: 1"), "5:9", "should be true or false, not 1"),
    "YAML 1.1's boolean": (also("scale: yes"), "5:8", "should be true or false, not 'yes'"),
    "text for adapt": (also("adapt: 'false'"), "5:8", "should be true or false, not 'false'"),
    "number for text": (instead("title: t", "title: 1"), "1:8", "should be text, not 1"),
    "number in links": (also("links: [a, 1]"), "5:12", "should be text, not 1"),
    "text for links": (also("links: a"), "5:8", "should be a list, not 'a'"),
    "nothing at all": (instead("axis: 1", "axis:"), "3:1", "should be an integer or a list, not null"),
}

SHAPES = {
    "negative size": (instead("[2,", "[-2,"), "2:17", "should be at least 0, not -2"),
    "fractional size": (instead("[2,", "[2.5,"), "2:17", "should be an integer, not 2.5"),
    "boolean size": (instead("[2,", "[true,"), "2:17", "should be an integer, not true"),
    "no axes": (instead("[2, 3, 4]", "[]"), "2:16", "should have at least 1 entries, not 0"),
    "not a list": (instead("[2, 3, 4]", "24"), "2:16", "should be a list, not 24"),
    "too large": (
        instead("[2, 3, 4]", "[1000, 1000, 1000]"),
        "2:16",
        "1,000,000,000 values; at most 67,108,864 are taken",
    ),
    "far too large": (instead("[2,", f"[1{'0' * 100},"), "2:16", "raise the limit with --max-elements"),
    "strange letter": (
        instead("NCL", "NXL"),
        "2:35",
        "layout letter 'X' is not known; letters are N batch, C channels",
    ),
    "small letters": (instead("NCL", "ncl"), "2:35", "not known; letters are N batch, C channels"),
    "letter twice": (
        instead("NCL", "NCC"),
        "2:35",
        "layout letter 'C' stands twice; give each axis a letter of its own",
    ),
    "too few letters": (
        instead("NCL", "NC"),
        "2:35",
        "names 2 axes, but shape [2, 3, 4] has 3; give one letter for each",
    ),
    "too many letters": (instead("NCL", "NCDL"), "2:35", "names 4 axes, but shape [2, 3, 4] has 3"),
    "no letters": (instead("NCL", "''"), "2:35", "names 0 axes"),
    "letters as a list": (instead("NCL", "[N, C, L]"), "2:35", "should be text, not ['N', 'C', 'L']"),
    "axis too large": (instead("axis: 1", "axis: 3"), "3:7", "axis 3 is out of range for rank 3; use -3 to 2"),
    "axis too small": (instead("axis: 1", "axis: -4"), "3:7", "axis -4 is out of range for rank 3; use -3 to 2"),
    "axis of a list": (instead("axis: 1", "axis: [0, 3]"), "3:11", "axis 3 is out of range for rank 3"),
    "axis twice": (instead("axis: 1", "axis: [1, 1]"), "3:11", "axis 1 is named twice; name each axis once"),
    "axis twice by sign": (instead("axis: 1", "axis: [1, -2]"), "3:11", "axis -2 is named twice (it is axis 1)"),
    "boolean axis": (instead("axis: 1", "axis: true"), "3:7", "should be an integer or a list, not true"),
    "boolean in axis": (instead("axis: 1", "axis: [0, true]"), "3:11", "should be an integer, not true"),
    "fractional axis": (instead("axis: 1", "axis: 1.0"), "3:7", "should be an integer or a list, not 1.0"),
    "letter for an axis": (instead("axis: 1", "axis: C"), "3:7", "should be an integer or a list, not 'C'"),
    "mapping for an axis": (instead("axis: 1", "axis: {}"), "3:7", "should be an integer or a list, not {}"),
}

PARAMETERS = {
    "too few": (
        also("parameters: {gamma: [1, 2]}"),
        "5:21",
        "gamma has 2 entries, but the axis keeps 3 indices; give a",
    ),
    "too many": (also("parameters: {beta: [1, 2, 3, 4]}"), "5:20", "beta has 4 entries, but the axis keeps 3 indices"),
    "none": (also("parameters: {gamma: []}"), "5:21", "gamma has 0 entries"),
    "too few of two axes": (
        instead("axis: 1", "axis: [2, 1]", also("parameters: {moving_mean: [1, 2, 3]}")),
        "5:27",
        "moving_mean has 3 entries, but the axis keeps 3*4 = 12 indices; give a number or 12 entries flat, or nested",
    ),
    "nested in the order of axis": (
        instead("axis: 1", "axis: [2, 0]", also("parameters: {gamma: [[1, 2], [1, 2], [1, 2], [1, 2]]}")),
        "5:21",
        "nested as [2, 4]",
    ),
    "ragged": (also("parameters: {gamma: [[1], [2, 3]]}"), "5:21", "different lengths; make it rectangular"),
    "number beside a list": (
        also("parameters: {gamma: [1, [2], 3]}"),
        "5:21",
        "different lengths; make it rectangular",
    ),
    "not a mapping": (also("parameters: [1, 2, 3]"), "5:13", "should be a mapping, not [1, 2, 3]"),
}

TOLERANCE = {
    "without atol": (also("tolerance: {rtol: 1e-5}"), "5:12", "`atol` is missing; add for example `atol: 1.0e-6`"),
    "without rtol": (also("tolerance: {atol: 1e-5}"), "5:12", "`rtol` is missing; add for example `rtol: 1.0e-5`"),
    "negative": (also("tolerance: {rtol: -1e-5, atol: 0}"), "5:19", "should be at least 0, not -1e-05"),
    "one number": (also("tolerance: 1e-5"), "5:12", "should be a mapping, not 1e-05"),
}

STEPS_AND_CHECK = {
    "steps in inference": (inference("steps: 2"), "5:8", "the mode is inference; set `mode: training` or `steps: 1`"),
    "steps in the default mode": (instead("training", "default", also("steps: 2")), "5:8", "the mode is default"),
    "no steps": (also("steps: 0"), "5:8", "should be at least 1, not 0"),
    "too many steps": (also("steps: 10001"), "5:8", "should be at most 10000, not 10001"),
    "inference in inference": (
        inference("check: [output, inference]"),
        "5:17",
        "check `output`, or set `mode: training`",
    ),
    "checked twice": (also("check: [output, output]"), "5:17", "`output` is listed twice; list each tensor once"),
    "nothing checked": (also("check: []"), "5:8", "should have at least 1 entries"),
    "not a list": (also("check: output"), "5:8", "should be a list, not 'output'"),
}

EXPECTED = {
    "too few": (
        also("expected: {output: [1, 2]}"),
        "5:20",
        "2 numbers, but output has 2*3*4 = 24; list all in C order",
    ),
    "too many": (also("expected: {moving_mean: [1, 2, 3, 4]}"), "5:25", "4 numbers, but moving_mean has 3; list all"),
    "index of another rank": (
        also("expected: {output: {'[0,0]': 1}}"),
        "5:30",
        "not an index into output of shape [2, 3, 4]",
    ),
    "index out of range": (
        also("expected: {output: {'[0,3,0]': 1}}"),
        "5:32",
        "not an index into output of shape [2, 3, 4]",
    ),
    "negative index": (also("expected: {output: {'[0,-1,0]': 1}}"), "5:33", 'write for example "[0, 0, 0]"'),
    "index without brackets": (also("expected: {output: {'0,0,0': 1}}"), "5:30", 'write for example "[0, 0, 0]"'),
    "index into a statistic": (also("expected: {moving_mean: {'[3]': 1}}"), "5:33", "into moving_mean of shape [3]"),
    "far out of range": (
        also(f"expected: {{moving_mean: {{'[{'9' * 40}]': 1}}}}"),
        "5:72",
        "not an index into moving_mean",
    ),
    "digits of another script": (also("expected: {moving_mean: {'[٢]': 1}}"), "5:33", "not an index into moving_mean"),
    "one number": (also("expected: {output: 1}"), "5:20", "should be a list or a mapping, not 1"),
    "not by tensor": (also("expected: [1, 2]"), "5:11", "should be a mapping, not [1, 2]"),
}

ALIASES = {
    "undefined": (also("why: *other"), "5:6", "undefined alias 'other'"),
    "recursive list": (also("links: &a [*a]"), "5:8", "an anchor that contains its own alias; write the value out"),
    "recursive mapping": (also("parameters: &a {gamma: *a}"), "5:13", "an anchor that contains its own alias"),
    "recursive through another": (also("links: &a [&b [*a]]"), "5:8", "an anchor that contains its own alias"),
}

MISSING = {
    "title": (instead("title: t\n", ""), "1:1", "`title` is missing; add for example `title: …`"),
    "input": (
        instead("input: {shape: [2, 3, 4], layout: NCL}\n", ""),
        "1:1",
        "`input` is missing; add for example `input: {",
    ),
    "axis": (instead("axis: 1\n", ""), "1:1", "`axis` is missing; add for example `axis: -1`"),
    "mode": (instead("mode: training\n", ""), "1:1", "`mode` is missing; add for example `mode: training`"),
    "shape": (instead("shape: [2, 3, 4], ", ""), "2:8", "`shape` is missing; add for example `shape: [2, 3, 4, 5]`"),
    "layout": (instead(", layout: NCL", ""), "2:8", "`layout` is missing; add for example `layout: NCHW`"),
    "layout in a block": (
        instead("{shape: [2, 3, 4], layout: NCL}", "\n  shape: [2, 3, 4]"),
        "3:3",
        "`layout` is missing",
    ),
    "argument": (values("{uniform: {low: 0}}"), "2:58", "`high` is missing"),
    "values under dropout": (values("{dropout: {rate: 0.5}}"), "2:58", "`of` is missing"),
    "words in the title": (
        instead("title: t", "title: ''"),
        "1:8",
        "should not be empty; say in a sentence what the case pins",
    ),
}

FILES = {
    "empty": ("", "1:1", "the file is empty; a case needs at least title, input, axis and mode"),
    "only a comment": ("# nothing yet\n", "1:1", "the file is empty"),
    "null": ("null\n", "1:1", "should be a mapping with keys such as title, input and axis, not null"),
    "a list": ("- 1\n- 2\n", "1:1", "should be a mapping with keys such as title, input and axis, not [1, 2]"),
    "text": ("\n\nhello\n", "3:1", "should be a mapping with keys such as title, input and axis, not 'hello'"),
    "Latin-1": (VALID.encode() + b"why: caf\xe9\n", "5:9", "is not UTF-8 text (byte 79); save it as UTF-8"),
    "UTF-16": (VALID.encode("utf-16"), "1:1", "is not UTF-8 text (byte 0); save it as UTF-8"),
    "control character": (also("why: a\x07b"), "5:7", "unacceptable character"),
    "syntax error": (also("why: a: b"), "5:7", "not valid YAML: mapping values are not allowed here"),
    "reserved character": (also("why: @a"), "5:6", "not valid YAML: found character '@'"),
    "tabulator": (also("\twhy: a"), "5:1", "not valid YAML: found character '\\t'"),
    "two documents": (f"{VALID}---\n{VALID}", "5:1", "a file holds one document; remove `---`"),
    "YAML 1.1": (f"%YAML 1.1\n---\n{VALID}", "1:1", "YAML"),
    "YAML of the future": (f"%YAML 1.3\n---\n{VALID}", "1:1", "YAML"),
    "too large": (
        also(f"why: {'x' * (1 << 20)}"),
        "1:1",
        "at most 1,048,576 are read. Put large tensors in a .npy file",
    ),
}

ROWS = [
    pytest.param(*row, id=f"{group}: {name}")
    for group, rows in {
        "unknown": UNKNOWN,
        "key": KEYS,
        "tag": TAGS,
        "number": NUMBERS,
        "shape": SHAPES,
        "parameters": PARAMETERS,
        "tolerance": TOLERANCE,
        "steps and check": STEPS_AND_CHECK,
        "expected": EXPECTED,
        "alias": ALIASES,
        "missing": MISSING,
        "file": FILES,
    }.items()
    for name, row in rows.items()
]


@pytest.mark.parametrize(("text", "place", "piece"), ROWS)
def test_is_refused_at_its_place_and_nowhere_else(tmp_path: Path, text: str | bytes, place: str, piece: str) -> None:
    found = problems_of(tmp_path, text)
    assert places(found) == place, [p.message for p in found]
    assert piece in found[0].message


def test_a_problem_reads_file_line_column_message(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, also("epsilom: 1"))
    assert str(problem) == f"{problem.file}:5:1: unknown key `epsilom`; did you mean `epsilon`?"
    assert problem.file.name == "a.yaml"


@pytest.mark.parametrize("line", ["epsilom: 1", "epsilon: true", "axis: 2"])
def test_line_ends_and_wide_characters_do_not_move_the_place(tmp_path: Path, line: str) -> None:
    unix = problems_of(tmp_path, instead("title: t", "title: né 漢字 😀", also(line)))
    dos = problems_of(tmp_path, instead("\n", "\r\n", instead("title: t", "title: né 漢字 😀", also(line))))
    marked = problems_of(tmp_path, b"\xef\xbb\xbf" + also(line).encode())
    assert unix == dos == marked == problems_of(tmp_path, also(line))


def test_columns_count_characters(tmp_path: Path) -> None:
    (problem,) = problems_of(
        tmp_path, "{title: 'né 漢字 😀', input: {shape: [2, 3], layout: NC}, axis: 1, mode: eval}\n"
    )
    assert places([problem]) == "1:71"


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)
)


def test_aliases_that_multiply_are_bounded(tmp_path: Path) -> None:
    """Expanded, the bomb has 10^30 values: the test ends because nothing expands it."""
    (problem,) = problems_of(tmp_path, BOMB)
    assert "more than 100,000 values once its aliases are expanded" in problem.message


@pytest.mark.parametrize(
    "line",
    [
        "links: " + "[" * 2000 + "]" * 2000,
        "parameters: {gamma: " + "[" * 2000 + "]" * 2000 + "}",
        "parameters: " + "{gamma: " * 2000 + "1" + "}" * 2000,
    ],
    ids=["list", "parameter", "mapping"],
)
def test_deep_nesting_is_refused_where_it_stands(tmp_path: Path, line: str) -> None:
    (problem,) = problems_of(tmp_path, also(line))
    assert "nested too deeply" in problem.message
    assert problem.line == 5


@pytest.mark.parametrize("depth", [60, 300])
def test_values_in_too_many_lists_get_one_short_message(tmp_path: Path, depth: int) -> None:
    """A list nested a few times too often is a slip; whatever the depth, one short message says so."""
    (problem,) = problems_of(tmp_path, values("[" * depth + "]" * depth))
    assert problem.line == 2
    assert len(problem.message) < 300


def test_a_tensor_may_have_as_many_values_as_the_limit(tmp_path: Path) -> None:
    assert load_text(tmp_path, VALID, max_elements=24)
    (problem,) = problems_of(tmp_path, VALID, max_elements=23)
    assert places([problem]) == "2:16"
    assert problem.message == (
        "the tensor has 24 values; at most 23 are taken. Make it smaller, or raise the limit with --max-elements"
    )


def test_the_limit_can_be_raised(tmp_path: Path) -> None:
    large = instead("[2, 3, 4]", "[1024, 1024, 65]")
    assert len(problems_of(tmp_path, large)) == 1
    (case,) = load_text(tmp_path, large, max_elements=1 << 27)
    assert case.case.input.shape == [1024, 1024, 65]


SEVERAL = {
    "of every key": (
        "title: ''\nwhy: 3\nlinks: 3\ninput: {shape: [2, 3, 4], layout: NCL, dtype: f, values: {constnt: 1}}\n"
        "axis: 3\nmode: eval\nepsilon: -1\nmomentum: 2\ncenter: 1\nscale: 0\nparameters: {gamma: x}\n"
        "steps: 0\ncheck: [x]\ntolerance: {rtol: 1}\nadapt: 1\nfoo: 1\n",
        "1:8 2:6 3:8 4:47 4:58 5:7 6:7 7:10 8:11 9:9 10:8 11:21 12:8 13:9 14:12 15:8 16:1",
    ),
    "that only show once others are mended": (
        instead(
            "training",
            "inference",
            instead("NCL", "NCL, values: [1, 2]", VALID)
            + "parameters: {gamma: [1, 2], beta: x}\nsteps: 5\ncheck: [inference]\nexpected: {output: [1]}\n",
        ),
        "2:48 5:21 5:35 6:8 7:9 8:20",
    ),
    "of YAML and of keys": (also("axis: 2\nepsilom: 1\nsteps: !foo 1"), "5:1 6:1 7:8"),
    "of one list": (instead("axis: 1", "axis: [0, 3, 0, 7]"), "3:11 3:14 3:17"),
    "of one layout": (instead("NCL", "NXXL"), "2:35 2:35 2:35"),
    "a layout and a length": (instead("NCL", "NXL", also("parameters: {gamma: [1, 2]}")), "2:35 5:21"),
    "an axis and a variance": (instead("axis: 1", "axis: 3", also("parameters: {moving_variance: x}")), "3:7 5:31"),
    "two arguments of a recipe": (values("{normal: {mean: [1, 2], std: -1}}"), "2:64 2:77"),
    "a strange key on the first line": ("1: x\n" + instead("mode: training\n", ""), "1:1 1:1"),
    "missing keys": ("why: there is nothing else\n", "1:1 1:1 1:1 1:1"),
}


@pytest.mark.parametrize(("text", "expected"), SEVERAL.values(), ids=SEVERAL)
def test_all_errors_of_a_file_are_reported_at_once(tmp_path: Path, text: str, expected: str) -> None:
    found = problems_of(tmp_path, text)
    assert places(found) == expected, [p.message for p in found]
    assert len(set(found)) == len(found)


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, instead("title: t", 'title: "\\ud800"'))
    assert (places([problem]), "half of a surrogate pair" in problem.message) == ("1:8", True)


def test_all_batches_together_keep_to_the_limit(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, also("steps: 5"), max_elements=100)
    assert (places([problem]), "5 batches of 24 values" in problem.message) == ("5:8", True)


def test_what_is_expected_is_checked(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, also("expected: {inference: [1]}"))
    assert (places([problem]), "add `inference` to `check`" in problem.message) == ("5:23", True)
