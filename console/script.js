// The pages work without this. It shows times in the reader's zone, copies values, and
// says at once which groups a pattern matches.
"use strict";
(() => {
  for (const t of document.querySelectorAll("time[datetime]")) {
    const d = new Date(t.dateTime);
    if (isNaN(d)) continue;
    t.title = t.textContent.trim();
    t.textContent = d.toLocaleString(document.documentElement.lang || undefined, { dateStyle: "medium", timeStyle: "short" });
  }
  if (navigator.clipboard) {
    for (const c of document.querySelectorAll("[data-copy]")) {
      const b = document.createElement("button");
      b.type = "button";
      b.textContent = c.dataset.copy;
      b.setAttribute("aria-label", c.dataset.copy + ": " + c.dataset.what);
      b.addEventListener("click", async () => {
        await navigator.clipboard.writeText(c.querySelector("code").textContent);
        b.textContent = c.dataset.copied;
        setTimeout(() => { b.textContent = c.dataset.copy; }, 1500);
      });
      c.append(b);
    }
  }
  for (const all of document.querySelectorAll("input[data-all]")) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const one of all.form.querySelectorAll("input[name=" + all.dataset.all + "]")) one.checked = all.checked;
    });
  }
  const form = document.querySelector("form[data-matches]");
  if (form) {
    let timer;
    form.addEventListener("input", (e) => {
      const target = document.getElementById("matches-" + e.target.name);
      if (!target) return;
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const answer = await fetch(form.dataset.matches + "?" + new URLSearchParams({ text: e.target.value }), { headers: { Accept: "text/plain" } });
        if (answer.ok && !answer.redirected) target.textContent = await answer.text();
      }, 300);
    });
  }
})();
