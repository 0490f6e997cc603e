"""The documentation: its links exist, and what it says of the program is what the program does."""

import ast
import re
import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from reg2st.evaluation import metrics
from reg2st.features.encoders import ENCODERS
from reg2st.models.registry import METHODS, method, parse_settings
from reg2st.study.config import read_config
from reg2st.study.fits import obstacle

HEADINGS = (
    "Limits",
    "Slides without counts",
    "Source",
    "What it computes",
    "Settings",
    "Size",
    "Where it departs from the release",
    "Checked",
    "Measured",
)
"""Of a page of a method, in this order."""

OWN = {"sprig", "controls"}
"""Pages of methods that have no release."""

CONTROLS = {"train_mean", "brightness", "ridge", "sister_section"}
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)|!\[[^]]*\]\(([^)\s]+)\)")
FILE = re.compile(
    r"(?<![\w/.])(?:config|docs|envs|resources|scripts|src|tests|workflow)/[\w/+.-]*[\w+]\.\w+"
)
EXAMPLES = {
    "src/reg2st/models/mean_colour.py",
    "src/reg2st/models/tile_context.py",
    "resources/locks/weights.json",
}
"""Files that pages tell a reader to write, or that a run makes."""

MENTION = re.compile(r"\bdocs/[\w/.-]*\w(?:\.md)?\b|\bconfig/README\.md\b")


def without_code(page):
    return re.sub(r"^( *)```.*?^\1```$", "", page, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as git hosts make them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", without_code(path.read_text(encoding="utf-8")), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


@pytest.fixture(scope="module")
def pages(root):
    own = [*root.glob("*.md"), *(root / "config").glob("*.md"), *(root / "docs").rglob("*.md")]
    return [*own, *(root / "resources").rglob("README.md"), *(root / ".github").rglob("*.md")]


def test_every_link_and_anchor_exists(pages):
    broken = []
    for page in pages:
        text = re.sub(r"`[^`\n]+`", "", without_code(page.read_text(encoding="utf-8")))
        for match in LINK.finditer(text):
            link = match[1] or match[2]
            if re.match("https?:|mailto:", link):
                continue
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            if not target.is_file() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_files_that_name_a_page_name_one_that_exists(root):
    folders = ("src", "tests", "workflow", "config", "scripts", "resources", "envs", "docs")
    files = [path for folder in folders for path in (root / folder).rglob("*")]
    files += [root / "CONTRIBUTING.md", root / "Makefile", root / "mkdocs.yml"]
    missing = []
    for path in files:
        if path.suffix not in {".py", ".smk", ".yaml", ".yml", ".md", ".rst", ".json", ".js", ""}:
            continue
        if not path.is_file() or path == Path(__file__):
            continue
        for mention in MENTION.findall(path.read_text(encoding="utf-8")):
            if not (root / mention).exists():
                missing.append(f"{path.name}: {mention}")
    assert missing == []


def test_pages_name_files_that_exist(pages, root):
    missing = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for file in FILE.findall(text):
            if file not in EXAMPLES and not (root / file).exists():
                missing.append(f"{page.name}: {file}")
    assert missing == []


def test_targets_stand_before_the_configuration(pages):
    """Snakemake takes every name behind ``--configfile`` for a configuration."""
    wrong = []
    for page in pages:
        for words in re.findall(r"--configfiles? ([^-`#\n]*)", page.read_text(encoding="utf-8")):
            if not all(re.search(r"\.yaml\.?\W*$|^CONFIG$", word) for word in words.split()):
                wrong.append(f"{page.name}: {words}")
    assert wrong == []


def test_every_page_is_in_the_navigation(root):
    text = (root / "mkdocs.yml").read_text(encoding="utf-8")
    docs = root / "docs"
    missing = [path.name for path in docs.rglob("*.md") if str(path.relative_to(docs)) not in text]
    assert missing == []


def test_lists_and_tables_have_a_line_before_them(root):
    """Without it a git host shows a list, and mkdocs a paragraph."""
    glued = []
    for path in (root / "docs").rglob("*.md"):
        lines = without_code(path.read_text(encoding="utf-8")).splitlines()
        for before, line in pairwise(lines):
            starts = re.match(r"[-*] |1\. |\|", line)
            if starts and before and not re.match(r"\s|[-*] |\d+\. |\|", before):
                glued.append(f"{path.name}: {line}")
    assert glued == []


def message_texts(source: str):
    """Texts of a module, with … in the place of each value that is filled in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = [each.value if isinstance(each, ast.Constant) else "…" for each in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_messages_of_the_questions_are_those_of_the_program(root):
    page = (root / "docs" / "faq.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`` ?.*? ?``|`[^`]*`) \| ", page, re.M)
    messages = [row.strip("`").strip() for row in rows]
    assert len(messages) > 20
    texts = [
        text
        for path in (root / "src" / "reg2st").rglob("*.py")
        for text in message_texts(path.read_text(encoding="utf-8"))
    ]
    unknown = [each for each in messages if not any(each in text for text in texts)]
    assert unknown == []


def test_pages_of_methods_have_the_headings_in_their_order(root):
    for path in (root / "docs" / "reference" / "methods").glob("*.md"):
        if path.name == "README.md":
            continue
        found = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), re.M)
        expected = [each for each in HEADINGS if path.stem not in OWN or each in found]
        assert found == expected, path.name
        assert found[:5] == list(HEADINGS[:5]), path.name


@pytest.mark.parametrize("name", [name for name in METHODS if name not in CONTROLS])
def test_the_page_of_a_method_says_whether_it_predicts_slides(root, name):
    page = (root / "docs" / "reference" / "methods" / f"{name}.md").read_text(encoding="utf-8")
    said = re.search(r"^## Slides without counts\n\n(Yes|No)", page, re.M)[1]
    config = read_config(
        {
            "name": "a",
            "datasets": {"mine": {"sheet": "a.tsv", "root": ".", "panel": {"recipe": {}}}},
            "methods": {name: None},
        }
    )
    assert said == ("Yes" if obstacle(config, name) is None else "No")


@pytest.mark.parametrize("name", [name for name in METHODS if name not in CONTROLS])
def test_the_page_of_a_method_names_its_settings(root, name):
    page = (root / "docs" / "reference" / "methods" / f"{name}.md").read_text(encoding="utf-8")
    settings = method(name).Settings.model_fields
    assert parse_settings(name, "published", {})
    assert [key for key in settings if f"`{key}`" not in page] == []


def test_every_encoder_has_a_row(root):
    page = (root / "docs" / "reference" / "encoders" / "README.md").read_text(encoding="utf-8")
    for name, encoder in ENCODERS.items():
        assert f"| `{name}` | {encoder.features:,} |" in page


def test_the_page_of_rules_lists_each_with_its_environment(root):
    page = (root / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (\w+) \|", page, re.M))
    rules, targets = {}, set()
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        parts = re.split(r"^(?:checkpoint|rule|use rule) ", path.read_text(), flags=re.M)
        for part in parts[1:]:
            name = re.match(r"(?:(\w+) as )?(\w+)", part)
            environment = re.search(r"envs/(\w+)\.yaml", part)
            if name[1]:
                rules[name[2]] = rules[name[1]]
            elif environment:
                rules[name[2]] = environment[1]
            else:
                targets.add(name[2])
    assert listed == rules
    assert all(f"`{target}`" in page for target in targets)


def test_the_tutorial_shows_the_config_that_is_shipped(root):
    page = (root / "docs" / "tutorials" / "visium.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    shipped = (root / "config" / "sections.yaml").read_text(encoding="utf-8")
    assert shipped.endswith(shown)
    assert yaml.safe_load(shipped) == yaml.safe_load(shown)


def test_the_metric_of_the_page_works_as_it_stands(root):
    page = (root / "docs" / "how-to" / "add-a-metric.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^    ```python\n(.*?)^    ```$", page, flags=re.DOTALL | re.MULTILINE)
    names = dict(vars(metrics))
    for block in blocks:
        exec(textwrap.dedent(block), names)
    observed, predicted = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0], [0, 4]])
    assert names["MAE"].function(observed, predicted).tolist() == [1.5, 1]
    assert names["MAE"].with_unit == "MAE (units of the target)"
