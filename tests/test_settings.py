"""What [tool.bncheck] of a pyproject.toml says, and what is said of one that is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bncheck.pyproject import BadProject
from bncheck.settings import Settings, read


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, which is the current one, with a folder of cases."""
    (tmp_path / "cases" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(text, encoding="utf-8", newline="")


def refusal(project: Path, text: str) -> str:
    write(project, text)
    with pytest.raises(BadProject) as refused:
        read(Path())
    return str(refused.value)


EVERYTHING = """\
[tool.bncheck]
paths = ["cases"]
runners = ["torch*", "numpy", "mine=kernels/bn.py:batch_norm"]
device = "all"
timeout = 20
max-memory = "1.5G"
expectations = "cases/expectations.yaml"
"""


def test_every_setting_is_read(project: Path) -> None:
    write(project, EVERYTHING)
    settings = read(Path())
    assert settings.paths == (Path("cases"),)
    assert settings.runners == ("torch*", "numpy", "mine=kernels/bn.py:batch_norm")
    assert (settings.device, settings.timeout, settings.max_memory) == ("all", 20.0, 3 << 29)
    assert settings.expectations == Path("cases/expectations.yaml")


def test_paths_are_those_of_the_file_wherever_one_stands(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, EVERYTHING)
    monkeypatch.chdir(project / "cases" / "deep")
    settings = read(Path())
    assert settings.paths == (Path(".."),)
    assert settings.runners == ("torch*", "numpy", "mine=../../kernels/bn.py:batch_norm")
    assert settings.expectations == Path("../expectations.yaml")
    assert read(project) == settings


def test_an_absolute_path_stays_as_it_is(project: Path) -> None:
    write(project, f"[tool.bncheck]\npaths = ['{project}/cases']\nrunners = ['mine={project}/bn.py:f']\n")
    assert read(Path()).paths == (project / "cases",)
    assert read(Path()).runners == (f"mine={project}/bn.py:f",)


def test_the_nearest_file_with_the_table_holds(project: Path) -> None:
    write(project, "[tool.bncheck]\ntimeout = 1\n")
    write(project / "cases", "[tool.ruff]\n")
    assert read(Path("cases/deep")).timeout == 1
    write(project / "cases", "[tool.bncheck]\ntimeout = 2\n")
    assert read(Path("cases/deep")).timeout == 2
    assert read(Path()).timeout == 1


def test_without_the_table_nothing_is_set(project: Path) -> None:
    assert read(Path()) == Settings()
    write(project, "[project]\nname = 'uses-bncheck'\n")
    assert read(Path()) == Settings()


def test_a_file_that_is_broken_and_does_not_speak_of_bncheck_is_none_of_our_business(project: Path) -> None:
    write(project, "[tool.ruff]\nline-length =\n")
    assert read(Path()) == Settings()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("timeot = 3", "unknown setting `timeot`; did you mean `timeout`?"),
        ("max_memory = '2G'", "unknown setting `max_memory`; did you mean `max-memory`?"),
        (
            "colour = 3",
            "unknown setting `colour`; there are paths, runners, device, timeout, max-memory, expectations, "
            "environments",
        ),
        ("paths = 'cases'", 'paths: should be a list of texts, for example ["cases"], not "cases"'),
        ("paths = []", 'paths: should be a list of texts, for example ["cases"], not []'),
        ("paths = ['']", 'paths: should be a list of texts, for example ["cases"], not [""]'),
        ("paths = ['cases', 'csaes']", "paths: csaes does not exist; name case files or folders of them"),
        (
            "runners = ['torch', 3]",
            'runners: should be a list of texts, for example ["torch", "mine=kernels/bn.py:batch_norm"], '
            'not ["torch", 3]',
        ),
        ("device = 'cuda'", 'device: should be one of cpu, gpu, all, not "cuda"'),
        ("device = ['cpu']", 'device: should be one of cpu, gpu, all, not ["cpu"]'),
        ("timeout = 0", "timeout: should be a number of seconds above 0, not 0"),
        ("timeout = true", "timeout: should be a number of seconds above 0, not true"),
        ("timeout = nan", "timeout: should be a number of seconds above 0, not NaN"),
        ("timeout = '5'", 'timeout: should be a number of seconds above 0, not "5"'),
        ("timeout = 2020-02-02", 'timeout: should be a number of seconds above 0, not "2020-02-02"'),
        (f"timeout = 1{'0' * 400}", "timeout: int too large to convert to float"),
        ("max-memory = 2", 'max-memory: should be a size, for example "2G", not 2'),
        ("max-memory = '2'", "max-memory: '2' is not a size; write for example 800M or 2G"),
        ("expectations = true", 'expectations: should be a file, for example "cases/expectations.yaml", not true'),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place_and_its_cure(project: Path, line: str, message: str) -> None:
    assert refusal(project, f"[tool.bncheck]\n\n  {line}\n") == f"pyproject.toml:3:3: {message}"


def test_all_that_is_wrong_is_said_at_once(project: Path) -> None:
    lines = refusal(project, "[tool.bncheck]\ntimeout = 0\npath = []\ndevice = 'x'\n").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["pyproject.toml:2:1", "pyproject.toml:3:1", "pyproject.toml:4:1"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[tool.bncheck]\n# timeout = 0\ntimeout = 0\n", "3:1"),
        ("[tool]\nbncheck.device = 'all'\nbncheck.timeout = 0\n", "3:9"),
        ("tool.bncheck.timeout = 0\n[x]\n", "1:14"),
        ("[tool.bncheck]\n'timeout' = 0", "2:2"),
        ("[tool]\nbncheck = {device = 'all', timeout = 0}\n", "2:28"),
        ("[tool.bncheck]\nrunners = [\n  'a',  # timeout\n  'b']\ntimeout = 0\n", "5:1"),
        ("[a]\ntext = '''\n[tool.bncheck]\ntimeout = 3\n'''\n[tool.bncheck]\ntimeout = 0\n", "7:1"),
        ("[a]\ntimeout = 0\n[tool.bncheck]\r\ntimeout = 0\r\n", "4:1"),
        ("[a]\ntext = 'in a line\u2028\x85'\n[tool.bncheck]\ntimeout = 0\n", "4:1"),
        ('[tool.bncheck]\ndevice = "all"\n"tim\\u0065out" = 0\n', "3:1"),
        ("[tool.bncheck.timeout]\n", "1:15"),
        ("[[tool.bncheck]]\n", "1:8"),
        ("[tool]\nbncheck = 3\n", "2:1"),
    ],
)
def test_the_place_is_right_however_the_key_is_written(project: Path, text: str, place: str) -> None:
    assert refusal(project, text).startswith(f"pyproject.toml:{place}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[tool.bncheck]\ntimeout = \n", "2:11: is not TOML: Invalid value"),
        (b"[tool.bncheck]\npaths = [\n  'cases',\n\n", "3:11: is not TOML: "),
        (b"[tool.bncheck]\na = '\xff'\n", "2:6: is not UTF-8; save it as that"),
        (b"[tool.bncheck]\na = 1" + b"1" * 5000, "1:1: is not TOML: Exceeds the limit"),
    ],
)
def test_what_is_not_toml_is_said_with_its_place(project: Path, content: bytes, message: str) -> None:
    (project / "pyproject.toml").write_bytes(content)
    with pytest.raises(BadProject) as refused:
        read(Path())
    assert str(refused.value).startswith(f"pyproject.toml:{message}")


def test_what_turns_out_wrong_later_is_told_at_the_same_place(project: Path) -> None:
    write(project, EVERYTHING)
    told = read(Path()).bad("runners", "there is no runner 'x'")
    assert str(told) == "pyproject.toml:3:1: runners: there is no runner 'x'"


def test_reading_them_is_light_enough_for_a_pytest_plugin() -> None:
    heavy = {"click", "numpy", "pydantic", "ruamel"}
    code = "import sys; from pathlib import Path; from bncheck.settings import read; read(Path()); "
    code += f"print({heavy} & {{*sys.modules}})"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "set()\n"


ENVIRONMENTS = """\
[tool.bncheck]
runners = ["numpy@old", "mine@old=k.py:f", "torch@./.venv"]

[tool.bncheck.environments.old]
python = "3.8"
packages = ["tensorflow-cpu==2.4.4"]

[tool.bncheck.environments.here]
interpreter = ".venv"
"""


def test_environments_are_read_with_paths_of_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, ENVIRONMENTS)
    monkeypatch.chdir(project / "cases")
    settings = read(Path())
    assert set(settings.environments) == {"old", "here"}
    assert settings.environments["old"].packages == ("tensorflow-cpu==2.4.4",)
    assert settings.environments["here"].interpreter == Path("../.venv")
    assert settings.runners == ("numpy@old", "mine@old=../k.py:f", "torch@../.venv")


def test_everything_that_is_wrong_with_environments_is_said_with_its_place(project: Path) -> None:
    text = """\
[tool.bncheck.environments.a]
pyhton = "3.8"
packages = ["six"]

[tool.bncheck.environments.b]
packages = ["--index-url=x"]

[tool.bncheck.environments."c d"]
packages = ["six"]
"""
    assert refusal(project, text).splitlines() == [
        "pyproject.toml:2:1: environments.a: unknown key `pyhton`; there are python, packages, until, interpreter",
        "pyproject.toml:6:1: environments.b: '--index-url=x' is no requirement; write for example "
        "tensorflow-cpu==2.4.4",
        "pyproject.toml:8:29: environments.c d: 'c d' is no name: letters, digits, _ . and -, beginning with a letter "
        "or digit",
    ]
    assert "should be a table" in refusal(project, '[tool.bncheck]\nenvironments = ["a"]\n')


@pytest.mark.parametrize("prefix", ["", "tool.bncheck."], ids=["as it is", "as in pyproject.toml"])
def test_a_bncheck_toml_holds_settings_alone_and_goes_first(project: Path, prefix: str) -> None:
    write(project, EVERYTHING)
    head = "[tool.bncheck]\n" if prefix else ""
    text = f'{head}timeout = 5\n[{prefix}environments.old]\npackages = ["six"]\n'
    (project / "bncheck.toml").write_text(text, encoding="utf-8")
    settings = read(Path())
    assert (settings.timeout, settings.paths, set(settings.environments)) == (5.0, (), {"old"})


def test_what_is_wrong_with_a_bncheck_toml_is_said_with_its_place(project: Path) -> None:
    (project / "bncheck.toml").write_text("\ntimeot = 5\n", encoding="utf-8")
    with pytest.raises(BadProject, match=r"bncheck\.toml:2:1: unknown setting `timeot`; did you mean `timeout`\?"):
        read(Path())
