"""Each rule's conda environment holds what its script imports.

Nothing is run. From a script on, the code that it can reach is followed: modules that are imported,
functions and classes that are named, methods whose name is used as an attribute, and names of
modules in strings, as registries have them. Imports inside a function count once it is reached.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
OWN = "reg2st"

NEEDS = {"read_parquet": "pyarrow", "to_parquet": "pyarrow"}
"""What pandas imports by itself when an attribute of that name is called."""

OPTIONAL = {("data", "spatialdata"), ("data", "zarr")}
"""Said by a sentence when it is missing: see ``envs/spatialdata.yaml``."""

ALWAYS_CALLED = {"property", "cached_property", "staticmethod", "classmethod", "abstractmethod"}
"""Decorators that leave it open whether a method is called; others register it with a library."""

PILLOWS = {"load()"}
"""Calls without arguments that are of a library's object: an image is loaded, no encoder."""

Symbol = tuple[str, str]
"""A module and a name in it."""


def rules() -> Iterator[tuple[str, str, str]]:
    """Name, script and environment of each rule that runs a script."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        parts = re.split(r"^(?:checkpoint|rule|use rule) ", path.read_text(), flags=re.MULTILINE)
        for part in parts[1:]:
            base, name = re.match(r"(?:(\w+) as )?(\w+)", part).groups()
            script = re.search(r'"\.\./\.\./(scripts/[\w/]+\.py)"', part)
            environment = re.search(r"envs/(\w+)\.yaml", part)
            script = script[1] if script else found.get(base, (None,))[0]
            environment = environment[1] if environment else found.get(base, (None, None))[1]
            if script:
                found[name] = script, environment
    for name, (script, environment) in found.items():
        yield name, script, environment


def file_of(module: str) -> Path | None:
    """The file of a module of the library."""
    path = SRC.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


class Names(ast.NodeVisitor):
    """What a piece of code uses: names, attributes, imports and strings, but for type checks."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        """Each with the name that it is of, empty if it is of something else."""
        self.strings: set[str] = set()
        self.imports: list[ast.Import | ast.ImportFrom] = []

    @classmethod
    def of(cls, *nodes: ast.AST) -> "Names":
        found = cls()
        for node in nodes:
            found.visit(node)
        return found

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.names.add(node.id)

    def visit_Call(self, node: ast.Call) -> None:
        """Calls of methods without arguments are kept apart from others."""
        if isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
            self.visit(node.func.value)
            of = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            self.attributes.add((of, f"{node.func.attr}()"))
        else:
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        of = node.value.id if isinstance(node.value, ast.Name) else ""
        self.attributes.add((of, node.attr))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.strings.add(node.value)

    def visit_Import(self, node: ast.Import) -> None:
        self.imports.append(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imports.append(node)


class Module:
    """A module: what runs when it is imported, and its functions, classes and constants."""

    def __init__(self, file: Path) -> None:
        self.body: list[ast.stmt] = []
        self.definitions: dict[str, list[ast.AST]] = {}
        self.methods: dict[str, list[ast.FunctionDef]] = {}
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                self.definitions[node.name] = [node]
            elif isinstance(node, ast.ClassDef):
                self.methods[node.name] = [
                    each for each in node.body if isinstance(each, ast.FunctionDef)
                ]
                rest = [each for each in node.body if not isinstance(each, ast.FunctionDef)]
                self.definitions[node.name] = [*node.bases, *node.decorator_list, *rest]
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    for each in ast.walk(target):
                        if isinstance(each, ast.Name):
                            self.definitions.setdefault(each.id, []).append(node.value)
                # Only what is called runs at once; a table of names waits to be used.
                self.body += [each for each in ast.walk(node.value) if isinstance(each, ast.Call)]
            else:
                self.body.append(node)


@cache
def module(name: str) -> Module:
    return Module(file_of(name))


def takes_a_study(node: ast.AST) -> bool:
    """Whether a function plans a study: the Snakefile calls it, and no job does."""
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(each.annotation, ast.Constant) and each.annotation.value == "Study"
        for each in node.args.args
    )


class Reach:
    """What can be reached from a script."""

    def __init__(self, script: Path) -> None:
        self.third_party: dict[str, str] = {}
        self.loaded: set[str] = set()
        self.used: set[Symbol] = set()
        self.bound: dict[str, dict[str, Symbol]] = {}
        self.attributes: set[str] = set()
        self.waiting: list[tuple[str, ast.FunctionDef]] = []
        self.follow(str(script), ast.parse(script.read_text(encoding="utf-8")))
        while self.waiting_methods():
            pass

    def follow(self, where: str, *nodes: ast.AST) -> None:
        """Follow code of a module."""
        code = Names.of(*nodes)
        bound = self.bound.setdefault(where, {})
        for node in code.imports:
            bound |= self.imports(where, node)
        for of, attribute in code.attributes:
            imported, symbol = bound.get(of, ("", "?"))
            if not symbol:  # of an imported module, so no method
                self.use(imported, attribute.removesuffix("()"))
            elif not self.of_class(where, of, attribute.removesuffix("()")):
                self.attributes.add(attribute)
            if attribute in NEEDS:
                self.third_party.setdefault(NEEDS[attribute], where)
        for name in code.names:
            self.use(where, name)
        for text in code.strings:
            self.string(text)

    def of_class(self, where: str, name: str, method: str) -> bool:
        """Follow a method that is named by its class; whether there is such a class."""
        where, name = self.bound[where].get(name, (where, name))
        if where.split(".")[0] != OWN or not file_of(where):
            return False
        methods = [each for each in module(where).methods.get(name, ()) if each.name == method]
        if methods and (where, f"{name}.{method}") not in self.used:
            self.used.add((where, f"{name}.{method}"))
            self.use(where, name)
            self.follow(where, *methods)
        return bool(methods)

    def string(self, text: str) -> None:
        """A module, or an object in one, by its name in a table."""
        match = re.fullmatch(r"(?:reg2st\.)?((?:\w+\.)+\w+)(?::(\w+))?", text)
        if not match:
            return
        for prefix in (OWN, f"{OWN}.report"):
            name = f"{prefix}.{match[1]}"
            if file_of(name):
                self.load(name)
                known = module(name)
                chosen = [match[2]] if match[2] else [*known.definitions]
                for symbol in chosen:
                    self.use(name, symbol)

    def imports(self, where: str, node: ast.Import | ast.ImportFrom) -> dict[str, Symbol]:
        """Load what is imported; the names that it binds."""
        bound = {}
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.load(alias.name, where)
                bound[alias.asname or alias.name.split(".")[0]] = alias.name, ""
            return bound
        assert not node.level, f"{where} imports relatively"
        self.load(node.module, where)
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if node.module.split(".")[0] == OWN and file_of(inner):
                self.load(inner, where)
                bound[alias.asname or alias.name] = inner, ""
            else:
                bound[alias.asname or alias.name] = node.module, alias.name
        return bound

    def load(self, name: str, where: str = "") -> None:
        """Import a module, and the packages that it is in."""
        top = name.split(".")[0]
        if top != OWN:
            if top not in sys.stdlib_module_names:
                self.third_party.setdefault(top, where)
            return
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            each = ".".join(parts[:end])
            if each not in self.loaded and file_of(each):
                self.loaded.add(each)
                self.follow(each, *module(each).body)

    def use(self, where: str, name: str) -> None:
        """Use a name of a module: follow what it is."""
        if (where, name) in self.used:
            return
        self.used.add((where, name))
        if where in self.bound and name in self.bound[where]:
            imported, symbol = self.bound[where][name]
            if symbol and imported.split(".")[0] == OWN:
                self.use(imported, symbol)
        if where.split(".")[0] != OWN or not file_of(where):
            return
        known = module(where)
        parts = [part for part in known.definitions.get(name, ()) if not takes_a_study(part)]
        self.follow(where, *parts)
        methods = [each for each in known.methods.get(name, ()) if not takes_a_study(each)]
        self.waiting += [(where, method) for method in methods]

    def waiting_methods(self) -> bool:
        """Follow methods of used classes that may be called; whether there was one."""
        ready = [each for each in self.waiting if self.may_be_called(each[1])]
        self.waiting = [each for each in self.waiting if each not in ready]
        for where, method in ready:
            self.follow(where, method)
        return bool(ready)

    def may_be_called(self, method: ast.FunctionDef) -> bool:
        decorators = Names.of(*method.decorator_list)
        named = decorators.names | {attribute for _, attribute in decorators.attributes}
        registered = named - ALWAYS_CALLED
        hidden = method.name.startswith("__")
        called = {method.name, f"{method.name}()"} & self.attributes - PILLOWS
        return bool(registered) or hidden or bool(called)


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


@pytest.fixture(scope="module")
def distributions() -> dict[str, set[str]]:
    return {top: set(map(normal, names)) for top, names in packages_distributions().items()}


@pytest.fixture(scope="module")
def held() -> dict[str, set[str]]:
    """The packages of each environment."""
    found = {}
    for path in (ROOT / "envs").glob("*.yaml"):
        (listed,) = (
            each["pip"]
            for each in yaml.safe_load(path.read_text())["dependencies"]
            if isinstance(each, dict)
        )
        found[path.stem] = {normal(pin.split("==")[0]) for pin in listed}
    return found


RULES = sorted(rules())


@cache
def reached(script: str) -> dict[str, str]:
    """Third-party modules that a script imports, each with a module that does so."""
    return Reach(ROOT / script).third_party


@pytest.mark.parametrize(("rule", "script", "environment"), RULES)
def test_the_environment_holds_what_the_script_imports(
    rule, script, environment, distributions, held
):
    missing = {
        top: where
        for top, where in reached(script).items()
        if not distributions.get(top, {top}) & held[environment]
        and (environment, top) not in OPTIONAL
    }
    assert missing == {}


def test_the_walk_finds_what_is_far_and_leaves_what_no_job_calls():
    embedding = reached("scripts/features/embed_section.py")
    training = reached("scripts/training/train.py")
    page = reached("scripts/report/build_page.py")
    table = reached("scripts/report/tabulate.py")
    assert {"openslide", "tifffile", "timm", "torch"} <= embedding.keys()
    assert {"torch_geometric", "torchvision", "safetensors"} <= training.keys()
    assert {"filelock", "openslide", "h5py"} <= page.keys()
    assert not {"timm", "skimage", "torch_geometric"} & page.keys()
    assert "matplotlib" in reached("scripts/report/draw.py")
    assert {"pandas", "scipy", "pyarrow"} <= table.keys()
    assert not {"torch_geometric", "filelock"} & table.keys()


def test_no_job_has_a_study():
    """Else functions that take one would have to be followed."""
    scripts = [ROOT / script for _, script, _ in RULES]
    assert not [path.name for path in scripts if "study.study" in path.read_text()]
