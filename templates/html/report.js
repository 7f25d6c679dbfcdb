"use strict";
// The page is whole without this script: it only hides findings that a person filters out.
(() => {
  const form = document.querySelector(".filters");
  const findings = [...document.querySelectorAll(".finding")];
  if (!form || findings.length < 5) return;
  form.hidden = false;
  const buttons = [...form.querySelectorAll("button[data-status]")];
  const place = form.querySelector("select");
  const search = form.querySelector("input");
  const count = form.querySelector("output");
  const apply = () => {
    const off = new Set(buttons.filter(b => b.getAttribute("aria-pressed") === "false").map(b => b.dataset.status));
    const text = search.value.trim().toLowerCase();
    let shown = 0;
    for (const f of findings) {
      f.hidden = off.has(f.dataset.status) || (place.value !== "" && f.dataset.place !== place.value) ||
        (text !== "" && !f.textContent.toLowerCase().includes(text));
      if (!f.hidden) shown++;
    }
    count.textContent = shown + " / " + findings.length;
  };
  for (const b of buttons) {
    b.addEventListener("click", () => {
      b.setAttribute("aria-pressed", b.getAttribute("aria-pressed") === "false" ? "true" : "false");
      apply();
    });
  }
  place.addEventListener("change", apply);
  search.addEventListener("input", apply);
  form.addEventListener("submit", e => e.preventDefault());
  // A line of the picture leads to its finding, also to one that is filtered out.
  const show = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target && target.hidden) { target.hidden = false; target.scrollIntoView(); }
  };
  addEventListener("hashchange", show);
  apply();
  show();
})();
