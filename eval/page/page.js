"use strict";
(() => {
  const $ = id => document.getElementById(id);
  // Text that models wrote comes in as text only: no markup is ever made of it.
  const el = (name, attributes, ...children) => {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
    e.append(...children.filter(c => c != null && c !== ""));
    return e;
  };
  const svg = (name, attributes, ...children) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  };
  const words = o => o === "unasked" ? "not asked" : o;
  const thousands = n => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const square = o => svg("svg", { width: 11, height: 11, "aria-hidden": true }, svg("rect", { class: "o-" + o, width: 11, height: 11, rx: 2 }));
  const gauge = v => svg("svg", { class: "gauge", width: 120, height: 9, "aria-hidden": true },
    svg("rect", { width: 120, height: 9, rx: 2 }), svg("rect", { width: (120 * v).toFixed(1), height: 9, rx: 2 }));

  explorer();
  live();

  function explorer() {
    const chunks = [...document.querySelectorAll("script.items")];
    if (!chunks.length || !$("explorer")) return;
    const perPage = 50;
    const outcomes = ["right", "wrong", "measured", "refused", "unparsed", "failed", "unasked"];
    const items = [];
    let state = read();
    let found = [];

    function read() {
      const p = new URLSearchParams(location.hash.slice(1));
      return { q: p.get("q") || "", o: p.get("o") || "", s: p.get("s") || "i", p: Math.max(1, parseInt(p.get("p"), 10) || 1), i: p.get("i") };
    }
    function go(change) {
      const next = { ...state, p: 1, i: null, ...change };
      const p = new URLSearchParams();
      for (const k of ["q", "o"]) if (next[k]) p.set(k, next[k]);
      if (next.s !== "i") p.set("s", next.s);
      if (next.p > 1) p.set("p", next.p);
      if (next.i != null) p.set("i", next.i);
      history.replaceState(null, "", "#" + p);
      state = next;
      show();
    }
    const textOf = it => it.x ??= [it.q, it.e, ...(it.f || []).map(f => f.v), ...(it.r || []).map(f => f.v),
      ...(it.a || []).flatMap(a => [a.p, ...a.c.flatMap(c => [c.t, c.g])])].join("\n").toLowerCase();
    // Words are looked for anywhere; "those in quotes" together.
    const wanted = q => [...q.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map(m => m[1] ?? m[2]);

    function select() {
      const need = wanted(state.q);
      found = items.filter(it => (!state.o || it.o === state.o) && need.every(w => textOf(it).includes(w)));
      const down = state.s.startsWith("-"), key = state.s.replace("-", "");
      const value = it => key === "o" ? outcomes.indexOf(it.o) : key === "t" ? (it.d || it.t) : it[key];
      found.sort((a, b) => {
        const x = value(a), y = value(b);
        if (x == null || y == null) return (x == null) - (y == null) || a.i - b.i; // those without come last
        return (down ? y - x : x - y) || a.i - b.i;
      });
    }
    function show() {
      select();
      const pages = Math.max(1, Math.ceil(found.length / perPage));
      if (state.i != null) {
        const at = found.findIndex(it => String(it.i) === state.i);
        if (at >= 0) state.p = Math.floor(at / perPage) + 1;
      }
      state.p = Math.min(state.p, pages);
      const rows = found.slice((state.p - 1) * perPage, state.p * perPage).map(line);
      $("list").replaceChildren(...rows);
      $("found").textContent = found.length === items.length ? `${thousands(items.length)} items` : `${thousands(found.length)} of ${thousands(items.length)} items`;
      $("pager").hidden = pages === 1;
      $("page").textContent = `${state.p} of ${pages}`;
      $("back").disabled = state.p === 1;
      $("next").disabled = state.p === pages;
      if ($("search").value !== state.q) $("search").value = state.q;
      $("sort").value = state.s.replace("-", "");
      $("down").setAttribute("aria-pressed", state.s.startsWith("-"));
      chips();
      if (state.i != null) {
        const open = $("item-" + state.i);
        if (open) {
          open.open = true;
          open.scrollIntoView({ block: "start" });
        }
      }
    }
    function chips() {
      const count = {};
      for (const it of items) count[it.o] = (count[it.o] || 0) + 1;
      const chip = (o, label, n) => {
        const b = el("button", { "aria-pressed": state.o === o, "data-outcome": o }, label + " ", el("small", {}, thousands(n)));
        b.addEventListener("click", () => go({ o }));
        return b;
      };
      $("chips").replaceChildren(chip("", "all", items.length), ...outcomes.filter(o => count[o]).map(o => chip(o, words(o), count[o])));
    }
    function line(it) {
      const cost = it.d ? "$" + (it.d / 1e9).toFixed(4) : thousands(it.t) + " tokens";
      const d = el("details", { class: "item", id: "item-" + it.i }, el("summary", { class: "line" },
        el("span", { class: "number" }, String(it.i)), el("span", { class: "tag" }, square(it.o), words(it.o)),
        el("span", { class: "about", dir: "auto" }, it.q), el("span", { class: "cost" }, it.c == null ? "" : it.c.toFixed(2) + " · ", cost)));
      d.addEventListener("toggle", () => { if (d.open && d.children.length === 1) d.append(body(it)); });
      return d;
    }
    const list = (fields, signals) => el("dl", {}, ...(fields || []).flatMap(f => [el("dt", {}, f.n), el("dd", { dir: "auto" }, f.v)]),
      ...(signals || []).flatMap(s => [el("dt", {}, s.n), el("dd", {}, gauge(s.v), s.v.toFixed(3))]));
    function body(it) {
      const b = el("div", { class: "body" });
      if (it.e) b.append(el("p", { class: "error", dir: "auto" }, it.e));
      if (it.f) b.append(el("h3", {}, "The item"), list(it.f));
      if (it.r || it.s) b.append(el("h3", {}, "What came of it"), list(it.r, it.s));
      if (it.a) b.append(el("h3", {}, "What was asked and answered"), ...it.a.map(asked));
      let spent = `key ${it.k} · ${it.n} calls, ${thousands(it.t)} tokens`;
      if (it.d) spent += `, $${(it.d / 1e9).toFixed(6)}`;
      b.append(el("p", {}, el("small", {}, spent + `, ${((it.w || 0) / 1000).toFixed(1)} s`)));
      return b;
    }
    function asked(a) {
      const n = a.c.reduce((sum, c) => sum + c.n, 0);
      const about = (a.r || "call") + (a.p ? "" : ": more replies to what was asked in this role") + (n > 1 ? ` · ${n} replies, ${a.c.length} different` : "");
      return el("div", { class: "asked" }, el("p", {}, about), a.p ? el("pre", { class: "prompt", dir: "auto" }, a.p) : null,
        ...a.c.map(c => el("div", { class: "reply" }, el("span", { class: "n" }, c.n ? c.n + " ×" : ""),
          el("div", {}, el("pre", { dir: "auto" }, c.t), c.g ? el("i", { dir: "auto" }, "reasoning: " + c.g) : null, c.f ? el("i", {}, "ended: " + c.f) : null))));
    }

    // A chunk at a time, so that the page can be used meanwhile.
    function take() {
      const s = chunks.shift();
      if (s) {
        items.push(...JSON.parse(s.textContent));
        s.remove();
      }
      if (chunks.length) return setTimeout(take);
      $("explorer").hidden = false;
      show();
      document.documentElement.dataset.ready = items.length;
      performance.mark("ready");
    }
    let timer;
    $("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => go({ q: $("search").value }), 120); });
    $("sort").addEventListener("change", () => go({ s: $("sort").value }));
    $("down").addEventListener("click", () => go({ s: state.s.startsWith("-") ? state.s.slice(1) : "-" + state.s }));
    $("back").addEventListener("click", () => go({ p: state.p - 1 }));
    $("next").addEventListener("click", () => go({ p: state.p + 1 }));
    addEventListener("hashchange", () => { state = read(); if (!chunks.length) show(); });
    setTimeout(take);
  }

  // A run that goes on is asked how far it is; when it has ended the page is loaded anew.
  function live() {
    const box = $("live");
    if (!box || box.hidden) return;
    const start = Date.now(), first = +box.dataset.done;
    const tick = async () => {
      try {
        const r = await fetch("progress.json", { cache: "no-store" });
        const p = await r.json();
        box.querySelector("progress").value = p.done;
        const pace = (p.done - first) / ((Date.now() - start) / 1000);
        let said = `${thousands(p.done)} of ${thousands(p.total)} items, ${p.words}`;
        if (pace > 0) said += `; ${pace.toPrecision(2)} items a second, ${Math.ceil((p.total - p.done) / pace / 60)} min left`;
        $("live-words").textContent = said;
        if (p.done >= p.total || p.done > 2 * first && Date.now() - start > 10_000 || Date.now() - start > 60_000) return location.reload();
      } catch {
        $("live-words").textContent = "The run's page has ended; its report is in its folder.";
        return;
      }
      setTimeout(tick, 1000);
    };
    setTimeout(tick, 1000);
  }
})();
