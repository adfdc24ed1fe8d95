"use strict";
// Filters the rows of a table by verdict, feature, tag and text; all is there without it.
(() => {
  const form = document.getElementById("filter");
  const table = document.getElementById("rows");
  if (!form || !table) return;
  const fields = form.elements;
  const bodies = [...table.tBodies];
  const rows = bodies.flatMap((body) =>
    [...body.querySelectorAll("tr[data-v]")].map((row) => ({
      row,
      body,
      feature: body.dataset.f,
      now: row.dataset.v,
      ever: (row.dataset.e || row.dataset.v).split(" "),
      tags: row.dataset.t.split(" ").filter(Boolean),
      text: `${row.querySelector("th").textContent} ${body.dataset.f}`.toLowerCase(),
    })));

  const offer = (select, values) => {
    for (const value of [...new Set(values)].sort()) select.add(new Option(value.replace(/^not-run$/, "not run"), value));
  };
  offer(fields.verdict, rows.flatMap((one) => [one.now, ...one.ever]).filter((one) => one !== "none"));
  offer(fields.feature, rows.map((one) => one.feature));
  offer(fields.tag, rows.flatMap((one) => one.tags));

  const links = [...document.querySelectorAll("a[data-keep]")];
  const apply = () => {
    const verdict = fields.verdict.value;
    const feature = fields.feature.value;
    const tag = fields.tag.value;
    const text = fields.text.value.toLowerCase().trim();
    const ever = Boolean(fields.ever && fields.ever.checked);
    const full = new Set();
    let count = 0;
    for (const one of rows) {
      const fits = (!verdict || (ever ? one.ever.includes(verdict) : one.now === verdict))
        && (!feature || one.feature === feature)
        && (!tag || one.tags.includes(tag))
        && one.text.includes(text);
      one.row.hidden = !fits;
      if (fits) full.add(one.body);
      count += fits;
    }
    for (const body of bodies) body.hidden = !full.has(body);
    const wanted = new URLSearchParams();
    for (const [name, value] of Object.entries({ verdict, feature, tag, text })) if (value) wanted.set(name, value);
    if (ever) wanted.set("ever", "1");
    const hash = wanted.size ? `#${wanted}` : "";
    document.getElementById("count").textContent = hash ? `${count} of ${rows.length} scenarios shown` : "";
    // The next page, and this one when it is opened again, shows the same.
    history.replaceState(null, "", hash || location.pathname + location.search);
    for (const link of links) link.hash = hash;
  };
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const name of ["verdict", "feature", "tag", "text"]) {
    if (wanted.has(name)) fields[name].value = wanted.get(name);
    if (fields[name].selectedIndex === -1) fields[name].value = "";
  }
  if (fields.ever) fields.ever.checked = wanted.has("ever");
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
})();
