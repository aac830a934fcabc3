"use strict";
(() => {
  const $ = id => document.getElementById(id);
  const base = document.body.dataset.base;

  // Trials that come while the list is looked at. What is sent is markup that the server made and escaped; it is
  // parsed without being run.
  function live() {
    const list = $("list"), box = $("live");
    if (!list || !("after" in list.dataset)) return;
    box.hidden = false;
    const most = 200;
    const source = new EventSource(base + "live?" + box.dataset.live + "&after=" + list.dataset.after);
    source.addEventListener("trials", e => {
      const rows = new DOMParser().parseFromString(e.data, "text/html").querySelectorAll("a.trial");
      for (const row of rows) {
        const fresh = document.importNode(row, true), old = $(row.id);
        if (old) {
          old.replaceWith(fresh);
          continue;
        }
        fresh.classList.add("fresh");
        list.prepend(fresh);
      }
      $("none")?.remove();
      while (list.children.length > most) list.lastElementChild.remove();
    });
    const say = (words, on) => {
      $("live-words").textContent = words;
      box.firstElementChild.classList.toggle("off", !on);
    };
    source.addEventListener("open", () => say("live: what is asked now shows up here", true));
    source.addEventListener("error", () => say("not connected", false));
    addEventListener("pagehide", () => source.close());
  }

  function ask() {
    const form = $("ask");
    if (!form) return;
    for (const id of ["sample", "base"]) $(id).textContent = $(id).textContent.replace("http://HOST", location.origin);
    form.addEventListener("submit", async e => {
      e.preventDefault();
      const show = (answer, doubt, belief, p) => {
        $("out").hidden = false;
        $("answer").textContent = answer;
        $("doubt").textContent = doubt;
        $("belief").textContent = belief ? JSON.stringify(belief, null, 1) : "";
        $("meter").hidden = p == null;
        if (p != null) $("meter").value = p;
      };
      show("…", "");
      const headers = { "Content-Type": "application/json" };
      if ($("key")?.value) headers.Authorization = "Bearer " + $("key").value;
      const request = { model: form.dataset.model, messages: [{ role: "user", content: $("question").value }], max_tokens: 200 };
      if ($("policy").value) request.gnothi = { policy: $("policy").value };
      try {
        const response = await fetch(base + "v1/chat/completions", { method: "POST", headers, body: JSON.stringify(request) });
        const r = await response.json();
        if (r.error) return show("", r.error.message);
        const b = r.gnothi;
        const doubt = b.probability == null ? "no probability: " + b.calibration.why
          : `right with ${Math.round(100 * b.probability)} % (${b.interval.map(x => Math.round(100 * x)).join("–")} %, ${b.calibration.status}); ${b.decision}, ${b.spend.calls} calls, ${b.spend.wall_ms} ms`;
        show(r.choices[0].message.content ?? "(no text)", doubt, b, b.probability);
      } catch (error) {
        show("", String(error));
      }
    });
  }

  live();
  ask();
})();
