"use strict";

/** A list of any number of genes, of which only the visible rows exist. */
class GeneList {
  constructor(genes, leastTrusted, onChoose) {
    Object.assign(this, { genes, leastTrusted, onChoose, scores: null, chosen: 0, rows: [] });
    [this.search, this.sort, this.list, this.count] = ["search", "sort", "genes", "count"].map((id) =>
      document.getElementById(id),
    );
    this.room = element("div", "", { role: "presentation" });
    this.list.append(this.room);
    this.search.addEventListener("input", () => this.arrange());
    this.sort.addEventListener("change", () => this.arrange());
    this.list.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.list);
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("[data-gene]");
      if (row) this.onChoose(Number(row.dataset.gene));
    });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.rows.length) this.onChoose(this.rows[0]);
      if (event.key === "ArrowDown") this.list.focus();
    });
    this.list.addEventListener("keydown", (event) => {
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
      if (!(event.key in steps)) return;
      event.preventDefault();
      event.stopPropagation();
      this.step(steps[event.key]);
    });
  }

  /** Show scores, one a gene; without any, the best genes are the first ones of the page. */
  setScores(scores) {
    if (scores === this.scores && this.rows.length) return;
    this.scores = scores;
    this.arrange();
  }

  arrange() {
    const asked = this.search.value.trim().toLowerCase();
    const rows = [];
    this.genes.forEach((name, gene) => {
      if (name.toLowerCase().includes(asked)) rows.push(gene);
    });
    const byName = (one, other) => (this.genes[one] < this.genes[other] ? -1 : 1);
    const score = (gene) => this.scores[gene] ?? -Infinity;
    const byScore = (one, other) => (score(one) === score(other) ? byName(one, other) : score(other) - score(one));
    if (this.sort.value === "name") rows.sort(byName);
    else if (this.scores) rows.sort(byScore);
    this.rows = rows;
    this.count.textContent =
      rows.length === this.genes.length ? `${rows.length} genes` : `${rows.length} of ${this.genes.length} genes`;
    this.list.scrollTop = 0;
    this.draw();
  }

  /** Choose the gene some rows further on. */
  step(by) {
    if (!this.rows.length) return;
    const place = this.rows.indexOf(this.chosen);
    const next = place < 0 ? 0 : Math.min(this.rows.length - 1, Math.max(0, place + by));
    this.onChoose(this.rows[next]);
  }

  choose(gene) {
    this.chosen = gene;
    const place = this.rows.indexOf(gene);
    const [top, height] = [place * this.rowHeight(), this.list.clientHeight];
    if (place >= 0 && (top < this.list.scrollTop || top + this.rowHeight() > this.list.scrollTop + height)) {
      this.list.scrollTop = top - height / 2;
    }
    this.draw();
  }

  rowHeight() {
    return 1.75 * Number.parseFloat(getComputedStyle(this.list).fontSize);
  }

  draw() {
    const height = this.rowHeight();
    const first = Math.max(0, Math.floor(this.list.scrollTop / height) - 2);
    const last = Math.min(this.rows.length, Math.ceil((this.list.scrollTop + this.list.clientHeight) / height) + 2);
    this.room.style.height = `${this.rows.length * height}px`;
    this.room.replaceChildren(...this.rows.slice(first, last).map((gene, k) => this.row(gene, first + k, height)));
    const chosen = this.room.querySelector("[aria-selected=true]");
    if (chosen) this.list.setAttribute("aria-activedescendant", chosen.id);
    else this.list.removeAttribute("aria-activedescendant");
  }

  row(gene, place, height) {
    const score = this.scores ? this.scores[gene] : null;
    const doubted = this.scores && !(score >= this.leastTrusted);
    const row = element("div", "", {
      role: "option",
      id: `gene-${gene}`,
      class: doubted ? "gene doubted" : "gene",
      "data-gene": gene,
      "aria-selected": gene === this.chosen,
      "aria-posinset": place + 1,
      "aria-setsize": this.rows.length,
    });
    row.style.top = `${place * height}px`;
    row.append(element("span", this.genes[gene], { class: "name" }));
    if (this.scores) row.append(element("span", score === null ? "–" : score.toFixed(2).replace("-", "−")));
    if (doubted) row.append(element("span", "not to be trusted", { class: "unseen" }));
    return row;
  }
}
