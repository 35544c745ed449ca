// Filters and opens claims. Numbers come in words.
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const { count, element, linked, command } = page;
  const { texts, subjects, rows, changes, readings, references } = data;
  const FIRST = 50, MORE = 250;
  const form = document.getElementById("filters");
  const list = document.getElementById("claim-list");
  const found = document.getElementById("found");
  const more = document.getElementById("more");
  const chosen = document.getElementById("chosen");
  let matching = [], shown = 0, only = null;

  const family = row => texts[row[1]];
  const subject = row => subjects[row[2]];
  const sides = row => [row[4], row[5] === 1 ? row[4] : row[5]];
  const topic = name => name.split(".").slice(0, 2).join(".");

  function options(name, label, values) {
    const select = form.elements[name];
    for (const [value, n] of values) {
      const option = element("option", "", `${label(value)} (${count(n)})`);
      option.value = value;
      select.append(option);
    }
  }

  function tally(of) {
    const totals = new Map();
    for (const row of rows) {
      const value = of(row);
      totals.set(value, (totals.get(value) || 0) + 1);
    }
    return totals;
  }

  function fill() {
    const byName = of => [...tally(of)].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    options("family", name => name, byName(row => topic(family(row))));
    options("dtype", name => name || "none", byName(row => texts[subject(row)[1]]));
    options("device", name => name || "none", byName(row => texts[subject(row)[2]]));
    const kinds = [...tally(row => row[0])].sort((a, b) => a[0] - b[0]);
    const remarkable = kinds.filter(kind => !changes[kind[0]].held).reduce((sum, kind) => sum + kind[1], 0);
    options("verdict", value => (value === "remarkable" ? "all but held" : changes[value].words), [
      ["remarkable", remarkable],
      ...kinds,
    ]);
    form.elements.verdict.value = remarkable ? "remarkable" : "";
  }

  function wanted() {
    const { family: f, verdict: v, dtype, device, words } = form.elements;
    const parts = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const holds = row => {
      if (only && !only.has(row)) return false;
      if (f.value && topic(family(row)) !== f.value) return false;
      if (v.value === "remarkable" && changes[row[0]].held) return false;
      if (v.value !== "" && v.value !== "remarkable" && row[0] !== Number(v.value)) return false;
      if (dtype.selectedIndex && texts[subject(row)[1]] !== dtype.value) return false;
      if (device.selectedIndex && texts[subject(row)[2]] !== device.value) return false;
      if (!parts.length) return true;
      const text = `${family(row)} ${texts[subject(row)[0]]} ${texts[row[3]]}`.toLowerCase();
      return parts.every(part => text.includes(part));
    };
    return rows.filter(holds);
  }

  function apply() {
    matching = wanted();
    shown = 0;
    list.replaceChildren();
    found.textContent = `${count(matching.length)} of ${count(rows.length)} claims`;
    show(FIRST);
  }

  function show(n) {
    const next = matching.slice(shown, shown + n);
    list.append(...next.map(line));
    shown += next.length;
    const left = matching.length - shown;
    more.hidden = left <= 0;
    more.textContent = `Show ${count(Math.min(left, MORE))} more of ${count(left)}`;
  }

  function said(side) {
    if (!side) return "no finding";
    return texts[side[1]] || texts[side[0]];
  }

  function line(row) {
    const item = element("li"), details = element("details"), summary = element("summary", changes[row[0]].tone);
    const what = element("span", "what");
    what.append(element("span", "family", family(row)), element("span", "key", texts[subject(row)[0]]));
    const [before, after] = sides(row).map((side, number) => {
      const cell = element("span", "said");
      cell.append(element("span", "label", number ? "candidate: " : "baseline: "), said(side));
      return cell;
    });
    summary.append(element("span", "was", changes[row[0]].words), what, before, after);
    details.append(summary);
    details.addEventListener("toggle", () => details.open && details.children.length === 1 && details.append(body(row)));
    item.append(details);
    return item;
  }

  function body(row) {
    const made = element("div", "body");
    if (texts[row[3]]) {
      const law = element("p");
      law.append(element("b", "", "Claim: "), texts[row[3]]);
      made.append(law);
    }
    made.append(table(row));
    const selected = `-k '${texts[subject(row)[3]]}'`;
    if (data.gate) made.append(element("p", "", "Ask both sides again:"), command(`${data.gate} ${selected}`));
    const suite = data.suites[family(row).split(".")[0]] || "suites";
    if (data.suite)
      made.append(
        element("p", "", "Ask one torch, in an environment that has it:"),
        command(`python -m pytest ${suite} ${data.suite} ${selected}`),
      );
    return made;
  }

  function table(row) {
    const scroll = element("div", "scroll"), made = element("table"), head = element("tr");
    head.append(element("th"), element("th", "", "baseline"), element("th", "", "candidate"));
    made.append(element("thead"));
    made.tHead.append(head);
    const lines = element("tbody"), both = sides(row);
    readings.forEach((name, place) => {
      const values = both.map(side => (side ? texts[side[place]] : place ? "" : "no finding"));
      if (!values.some(Boolean)) return;
      const tr = element("tr");
      tr.append(element("th", "", name), ...values.map(value => element("td", "", value || "–")));
      if (place === data.known) values.forEach((value, number) => refer(tr.children[number + 1], value));
      lines.append(tr);
    });
    made.append(lines);
    scroll.append(made);
    return scroll;
  }

  function refer(cell, name) {
    const reference = Object.hasOwn(references, name) ? references[name] : "";
    if (reference) cell.append(": ", linked(reference));
  }

  function restrict(numbers, name) {
    only = numbers && new Set(numbers.map(number => rows[number]));
    chosen.hidden = !only;
    chosen.textContent = only ? `Only the claims of ${name}: show all again` : "";
  }

  function start() {
    fill();
    form.hidden = list.hidden = false;
    document.getElementById("columns").hidden = false;
    page.listen();
    for (const each of document.querySelectorAll("[data-rows]")) each.hidden = false;
    page.filter(form, apply, () => {
      restrict(null);
      apply();
    });
    chosen.addEventListener("click", () => {
      restrict(null);
      apply();
      found.parentElement.scrollIntoView();
    });
    more.addEventListener("click", () => show(MORE));
    document.addEventListener("click", event => {
      const pressed = event.target.closest("button, a");
      if (!pressed) return;
      if (pressed.dataset.rows) {
        form.reset();
        form.elements.verdict.value = "";
        restrict(data.reasons[pressed.dataset.rows], pressed.dataset.name);
        apply();
        document.getElementById("claims").scrollIntoView();
        document.getElementById("claims").focus({ preventScroll: true });
      }
      if (pressed.dataset.family) {
        form.reset();
        restrict(null);
        form.elements.family.value = pressed.dataset.family;
        form.elements.verdict.value = "";
        apply();
      }
    });
    apply();
  }

  start();
})();
