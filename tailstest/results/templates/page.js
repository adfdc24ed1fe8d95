"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Equal pictures are carried once; the others copy it.
  for (const image of all("img[data-copy]")) {
    const source = document.getElementById(image.dataset.copy);
    if (source) image.src = source.src;
  }

  // A video shows its scenario's picture until it plays.
  for (const video of all("video")) {
    const home = video.closest("details.scenario") || document;
    const picture = home.querySelector(".canvas img") || all(".thumb img", home).pop();
    if (picture) video.poster = picture.src;
  }

  // The end of a log is what matters.
  for (const log of all("pre.log")) log.scrollTop = log.scrollHeight;

  // Filter by verdict and text.
  const filter = document.getElementById("filter");
  const scenarios = all("details.scenario");
  if (filter) {
    const texts = new Map(scenarios.map((one) => [one, one.textContent.toLowerCase()]));
    const apply = () => {
      const verdict = filter.elements.verdict.value;
      const words = filter.elements.text.value.toLowerCase().trim();
      let count = 0;
      for (const one of scenarios) {
        const fits = (!verdict || one.dataset.verdict === verdict) && texts.get(one).includes(words);
        one.hidden = !fits;
        count += fits;
      }
      for (const group of all("[data-group]")) {
        group.hidden = !group.querySelector("details.scenario:not([hidden])");
      }
      document.getElementById("shown").textContent =
        verdict || words ? `${count} of ${scenarios.length} scenarios shown` : "";
    };
    filter.addEventListener("input", apply);
    filter.addEventListener("submit", (event) => event.preventDefault());
    apply();

    // A link to a scenario opens it, also when the filter hides it.
    const open = () => {
      const target = document.getElementById(location.hash.slice(1));
      if (!target || !target.matches("details.scenario")) return;
      if (target.hidden) { filter.reset(); apply(); }
      target.open = true;
      target.scrollIntoView();
    };
    addEventListener("hashchange", open);
    open();
  }

  // Wanted against seen: side by side, a slider, or one over the other.
  for (const box of all("[data-compare]")) {
    const stage = box.querySelector(".stage");
    const slider = box.querySelector(".slider");
    const range = slider.querySelector("input");
    box.addEventListener("input", () => {
      const mode = box.querySelector("input[type=radio]:checked").value;
      stage.dataset.mode = mode;
      slider.hidden = mode === "sides";
      stage.style.setProperty("--cut", `${range.value}%`);
    });
  }

  // Enlarged pictures.
  const dialog = document.getElementById("zoom");
  if (dialog) {
    const picture = dialog.querySelector("img");
    const [before, after] = all("[data-go]", dialog);
    let series = [];
    let position = 0;
    const show = (index) => {
      position = index;
      const link = series[index];
      picture.src = link.querySelector("img").src;
      picture.alt = link.dataset.caption;
      dialog.querySelector("figcaption").textContent = link.dataset.caption;
      dialog.querySelector("nav a").href = link.href;
      before.disabled = index === 0;
      after.disabled = index === series.length - 1;
    };
    const go = (by) => { if (series[position + by]) show(position + by); };
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-zoom]");
      if (!link || !link.querySelector("img") || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const home = link.closest("details.scenario") || document;
      series = all("a[data-zoom]", home).filter((one) => one.querySelector("img"));
      show(series.indexOf(link));
      dialog.showModal();
    });
    before.addEventListener("click", () => go(-1));
    after.addEventListener("click", () => go(1));
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") go(-1);
      if (event.key === "ArrowRight") go(1);
    });
  }
})();
