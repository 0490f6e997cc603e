"use strict";

/** The list of all slides of a study. */
async function showStart() {
  const start = await loadData("start", "start/data");
  document.title = `${start.study}: slides`;
  find("title").textContent = `Slides of the study ${start.study}`;
  for (const page of start.pages) {
    const folder = page.path.map(encodeURIComponent).join("/");
    const link = element("a", "", { href: `${folder}/index.html` });
    link.append(element("img", "", { src: `${folder}/tiles/thumbnail.jpg`, alt: "", loading: "lazy" }));
    link.append(element("strong", page.name));
    const entry = element("li");
    entry.append(link, element("span", Object.entries(page.facts).map((fact) => fact.join(" ")).join(", ")));
    entry.append(element("span", `${page.spots.toLocaleString("en")} spots, ${page.genes.toLocaleString("en")} genes`));
    if (page.summary) entry.append(element("span", page.summary));
    for (const warning of page.warnings) entry.append(element("span", warning, { class: "warning" }));
    find("pages").append(entry);
  }
  if (start.table) {
    find("comparison").hidden = false;
    find("caption").textContent = start.table.title;
    const row = (cells, tag) => {
      const made = element("tr");
      made.append(...cells.map((cell) => element(tag, cell)));
      return made;
    };
    const [head, body] = [element("thead"), element("tbody")];
    head.append(row(start.table.columns, "th"));
    body.append(...start.table.rows.map((cells) => row(cells, "td")));
    find("table").append(head, body);
    find("notes").append(...start.table.notes.map((note) => element("p", note)));
  }
  for (const [name, value] of start.provenance) find("provenance").append(element("dt", name), element("dd", value));
}

showStart().catch((error) => {
  find("notice").hidden = false;
  find("notice").textContent = error.message;
});
