// Fills the matrix, walks it by keyboard (a grid of ARIA), opens cells, and compares two releases. Numbers come in words.
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const { count, element, linked, command } = page;
  const { texts, releases, states, standings, rows, cells, paths, streams, changes, known } = data;
  const VIOLATED = 0, UNDECIDED = 1, NOT_ASKED = states.length - 1;
  const form = document.getElementById("filters"), pair = document.getElementById("pair");
  const grid = document.getElementById("grid"), body = document.getElementById("rows");
  const detail = document.getElementById("detail"), compared = document.getElementById("compared");
  const answered = releases.flatMap((release, place) => (release.answers ? [place] : []));
  const usual = new Map(data.usual.map(([before, after, change]) => [`${before}${after}`, change]));
  const unfolded = new Set();
  let focused = null, wantedColumn = 0, picked = [], opened = null;

  const name = row => `${texts[row[1]]} ${texts[row[2]]}`;
  const cellOf = (row, place) => cells[row[6][place]];
  const worst = cell => cell[6] || null;
  const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

  // The matrix

  function label(row, place) {
    const cell = cellOf(row, place), state = states[cell[0]];
    const parts = [`${name(row)}, torch ${releases[place].name}: ${state.words}`];
    if (cell[2]) parts.push(`${count(cell[2])} of ${plural(cell[1], "claim")}`);
    if (worst(cell)) parts.push(texts[worst(cell)[4]]);
    return parts.filter(Boolean).join(", ");
  }

  function broken(text) {
    // A family may break behind each dot.
    return text.split(/(?<=\.)/).flatMap(part => [part, element("wbr")]).slice(0, -1);
  }

  function line(number) {
    const row = rows[number], tr = element("tr"), head = element("th");
    head.scope = "row";
    head.tabIndex = -1;
    head.append(...broken(texts[row[1]]), " ", element("span", "", texts[row[2]]));
    tr.append(head);
    tr.dataset.row = number;
    row[6].forEach((_, place) => {
      const cell = cellOf(row, place), td = element("td", `is${cell[0]}`);
      td.append(element("b", "", states[cell[0]].sign));
      if (cell[4]) td.append(element("i", "", texts[cell[4]]));
      td.tabIndex = -1;
      td.setAttribute("aria-label", label(row, place));
      tr.append(td);
    });
    return tr;
  }

  function heading(className, content) {
    const tr = element("tr", className), th = element("th");
    th.colSpan = releases.length + 1;
    th.append(content);
    tr.append(th);
    return tr;
  }

  const made = new Map();
  const lineOf = number => made.get(number) || made.set(number, line(number)).get(number);

  function fold(suite, standing, numbers) {
    const key = `${suite} ${standing}`, open = unfolded.has(key);
    const button = element("button", "", `${open ? "▾" : "▸"} ${plural(numbers.length, "row")}: ${standings[standing].told}`);
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("aria-expanded", open);
    button.dataset.fold = key;
    return [heading("fold", button), ...(open ? numbers.map(lineOf) : [])];
  }

  const KINDS = [
    ["", "violated in some release", row => row[3] === VIOLATED],
    ["changed", "not the same in all releases", row => new Set(row[6].map((_, p) => cellOf(row, p)[0]).filter(s => s !== NOT_ASKED)).size > 1],
    ["newest", "violated in the newest release", row => answered.length && cellOf(row, answered.at(-1))[0] === VIOLATED],
    ["undecided", "without evidence in some release", row => row[6].some((_, p) => cellOf(row, p)[0] === UNDECIDED)],
    ["all", "all rows", () => true],
  ];

  function apply() {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const [kind, , fits] = KINDS.find(([key]) => key === form.elements.rows.value);
    const whole = !words.length && kind === "";
    const said = row => `${name(row)} ${texts[row[4]]} ${texts[row[5]]}`.toLowerCase();
    const suites = new Map();
    rows.forEach((row, number) => {
      const suite = texts[row[0]];
      if (form.elements.suite.value && suite !== form.elements.suite.value) return;
      if (words.length && !words.every(word => said(row).includes(word))) return;
      // Words are looked for in all rows, unless rows of one kind are asked for.
      if (!whole && kind !== "" && !fits(row)) return;
      if (!suites.has(suite)) suites.set(suite, []);
      suites.get(suite).push(number);
    });
    const lines = [];
    let shown = 0;
    for (const [suite, numbers] of suites) {
      lines.push(heading("suite", element("span", "", suite)));
      for (const standing of standings.keys()) {
        const alike = numbers.filter(number => !whole || rows[number][3] === standing);
        if (whole && standing !== VIOLATED && alike.length) lines.push(...fold(suite, standing, alike));
        else lines.push(...alike.map(lineOf));
        if (!whole || standing === VIOLATED || unfolded.has(`${suite} ${standing}`)) shown += alike.length;
        if (!whole) break;
      }
    }
    if (!lines.length) lines.push(heading("fold", element("span", "", "No row has all of that.")));
    body.replaceChildren(...lines);
    document.getElementById("found").textContent = `${count(shown)} of ${plural(rows.length, "row")}`;
    if (!focused?.isConnected) rove(body.querySelector("td") || grid.rows[0].cells[1], false);
  }

  // Keyboard: one cell of the grid is in the order of Tab, arrows walk.

  const target = cell => cell.querySelector("button") || cell;

  function rove(cell, andFocus = true) {
    if (!cell) return;
    if (focused) focused.tabIndex = -1;
    focused = target(cell);
    focused.tabIndex = 0;
    if (andFocus) focused.focus();
  }

  function at(row, column) {
    const lines = [...grid.rows], line = lines[Math.max(0, Math.min(row, lines.length - 1))];
    return line.cells[Math.max(0, Math.min(column, line.cells.length - 1))];
  }

  function walk(event) {
    const cell = event.target.closest("td, th");
    if (!cell || !grid.contains(cell)) return;
    const row = cell.parentElement.rowIndex, single = cell.colSpan > 1;
    const column = single ? wantedColumn : cell.cellIndex;
    const last = releases.length, end = grid.rows.length - 1;
    const to = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, cell.cellIndex - 1],
      ArrowRight: [row, cell.cellIndex + 1],
      Home: event.ctrlKey ? [0, 0] : [row, 0],
      End: event.ctrlKey ? [end, last] : [row, last],
      PageUp: [row - 10, column],
      PageDown: [row + 10, column],
    }[event.key];
    if (to) {
      event.preventDefault();
      wantedColumn = to[1];
      rove(at(...to));
    } else if ((event.key === "Enter" || event.key === " ") && !event.target.closest("button")) {
      event.preventDefault();
      press(cell);
    }
  }

  function press(cell) {
    const row = cell.parentElement.dataset.row;
    if (cell.parentElement.rowIndex === 0 && cell.cellIndex) pick(cell.cellIndex - 1);
    else if (row !== undefined) open(Number(row), cell.cellIndex ? cell.cellIndex - 1 : (answered.at(-1) ?? 0));
  }

  // A cell

  function open(number, place) {
    opened = [number, place];
    detail.replaceChildren(...inside(number, place));
    if (!detail.open) detail.showModal();
    detail.scrollTop = 0;
    history.replaceState(null, "", `#cell=${[texts[rows[number][1]], texts[rows[number][2]], releases[place].name].map(encodeURIComponent).join("/")}`);
  }

  function inside(number, place) {
    const row = rows[number], cell = cellOf(row, place), state = states[cell[0]], release = releases[place];
    const title = element("h2", "", `${name(row)} in torch ${release.name}`);
    title.id = "detail-h";
    const said = element("p", `state is${cell[0]}`, `${state.sign} ${state.words}`);
    const parts = [bar(number, place), title, said];
    const counted = [];
    if (cell[2]) counted.push(`${count(cell[2])} of ${plural(cell[1], "claim")} violated`);
    else if (cell[1]) counted.push(`${plural(cell[1], "claim")} asked`);
    if (cell[3]) counted.push(`${count(cell[3])} without evidence (${texts[cell[5]]})`);
    parts.push(element("p", "", counted.length ? `${counted.join("; ")}.` : release.why || state.meaning));
    if (release.why && counted.length) parts.push(element("p", "", release.why));
    const found = worst(cell);
    const law = element("p");
    law.append(element("b", "", found ? "Law of the plainest: " : "Law, of one of them: "), texts[found ? found[2] : row[4]]);
    const key = element("p");
    key.append(element("code", "", texts[found ? found[0] : row[5]]));
    parts.push(law, key);
    if (found) parts.push(figures(found));
    const entry = found && Object.hasOwn(known, texts[found[3 + data.readings.indexOf("registered as")]]) ? texts[found[3 + data.readings.indexOf("registered as")]] : "";
    if (entry) parts.push(...about(entry));
    parts.push(...again(row, found, place), element("h3", "", "Over releases"), strip(number, place));
    parts.push(...others(number, place));
    return parts;
  }

  function bar(number, place) {
    const made = element("div", "bar-top");
    const step = (by, text) => {
      const to = place + by, button = element("button", "small", releases[to] ? text(releases[to].name) : "");
      button.type = "button";
      button.hidden = !releases[to];
      button.addEventListener("click", () => {
        open(number, to);
        detail.querySelector(by < 0 ? ".back" : ".on").focus();
      });
      button.classList.add(by < 0 ? "back" : "on");
      return button;
    };
    const close = element("button", "small close", "Close");
    close.type = "button";
    close.addEventListener("click", () => detail.close());
    made.append(step(-1, to => `← ${to}`), step(1, to => `${to} →`), close);
    return made;
  }

  function figures(found) {
    const scroll = element("div", "scroll"), table = element("table"), lines = element("tbody");
    const told = data.readings.map((reading, place) => [reading, texts[found[3 + place]]]);
    if (texts[found[1]]) told.splice(2, 0, ["where", texts[found[1]]]);
    for (const [reading, value] of told) {
      if (!value) continue;
      const tr = element("tr"), th = element("th", "", reading);
      th.scope = "row";
      tr.append(th, element("td", "", value));
      lines.append(tr);
    }
    table.append(lines);
    scroll.append(table);
    return scroll;
  }

  function about(entry) {
    const one = known[entry], parts = [element("h3", "", `Known: ${entry}`)];
    parts.push(element("p", "", `${one.reason[0].toUpperCase()}${one.reason.slice(1)}.`));
    const range = element("p"), where = element("p");
    range.append(element("b", "", "First seen: "), one.first, "; ", element("b", "", "mended in: "), one.mended || "–");
    where.append(element("b", "", "Discussed: "), linked(one.reference));
    parts.push(range, where);
    if (one.code.length) parts.push(element("p", "", "Without the suites:"), element("pre", "details code", one.code.join("\n")));
    return parts;
  }

  function again(row, found, place) {
    const subject = found ? found[0] : row[5], chosen = texts[data.selections[subject]];
    const before = answered.filter(other => other < place).at(-1) ?? answered.find(other => other > place);
    if (!chosen || !releases[place].answers) return [];
    const options = Object.entries(data.options).flat().join(" ");
    const suite = data.suites[texts[row[0]]] || "suites";
    const parts = [element("h3", "", "Ask again")];
    if (before !== undefined)
      parts.push(
        element("p", "", "Beside another release; both environments are built:"),
        command(`nox -s gate -- --baseline ${releases[before].name} --candidate ${releases[place].name} ${options} -k '${chosen}'`),
      );
    parts.push(
      element("p", "", `In an environment that has torch ${releases[place].name}:`),
      command(`python -m pytest ${suite} ${options} -k '${chosen}'`),
    );
    return parts;
  }

  function strip(number, place) {
    const made = element("ul", "row");
    rows[number][6].forEach((_, other) => {
      const cell = cellOf(rows[number], other), item = element("li", `is${cell[0]}`);
      item.append(`${releases[other].name} `, element("b", "", states[cell[0]].sign), element("span", "sr", ` ${states[cell[0]].words}`));
      if (cell[4]) item.append(` ${texts[cell[4]]}`);
      if (other === place) item.setAttribute("aria-current", "true");
      made.append(item);
    });
    return made;
  }

  function others(number, place) {
    const found = paths.filter(path => path[0] === number && texts[path[2]][place] === "0");
    if (found.length < 2) return [];
    const made = element("details", "fold"), list = element("ul", "keys");
    made.append(element("summary", "", `All ${plural(found.length, "violated claim")}`), list);
    list.append(...found.map(path => element("li", "", texts[path[1]])));
    return [made];
  }

  // Two releases

  function pick(place) {
    const head = document.getElementById("picked");
    if (!releases[place].answers) {
      head.textContent = `torch ${releases[place].name} cannot be compared: ${releases[place].why}`;
      return;
    }
    picked = picked.includes(place) ? picked.filter(other => other !== place) : [...picked, place].slice(-2);
    marked();
    head.textContent = picked.length === 1 ? `torch ${releases[place].name} chosen: choose another release to compare` : "";
    if (picked.length === 2) show(...picked.toSorted((a, b) => a - b), true);
  }

  function marked() {
    [...grid.rows[0].cells].slice(1).forEach((head, place) => {
      head.classList.toggle("picked", picked.includes(place));
      head.setAttribute("aria-selected", picked.includes(place));
    });
  }

  function show(older, newer, andGo) {
    pair.elements.older.value = older;
    pair.elements.newer.value = newer;
    compared.replaceChildren(...difference(older, newer));
    if (!andGo) return;
    history.replaceState(null, "", `#compare=${releases[older].name}..${releases[newer].name}`);
    document.getElementById("compare").scrollIntoView();
    document.getElementById("compare").focus({ preventScroll: true });
  }

  function difference(older, newer) {
    if (older === newer) return [element("p", "", "One and the same release: nothing to compare.")];
    const [from, to] = [older, newer].sort((a, b) => a - b);
    const step = data.steps.find(each => each[0] === from && each[1] === to);
    const names = `${releases[older].name} ${releases[newer].name}`;
    const parts = [element("p", "", "The whole verdict, in a terminal:"), command(`nox -s report -- compare ${names}`)];
    if (older > newer) return [element("p", "", "A step back is gated by the command alone."), ...parts];
    const said = element("p", `said ${texts[step[3]]}`);
    said.append(element("span", `tag ${texts[step[3]]}`, texts[step[2]] || "not comparable"), ` ${texts[step[4]]}`);
    if (!texts[step[3]]) return [said, ...parts];
    const groups = grouped(step);
    parts.unshift(said);
    parts.push(element("h3", "", groups.length ? "Claims that are no longer as they were" : "No claim is other than it was"));
    const list = element("ul", "changed");
    list.append(...groups.map(group));
    if (groups.length) parts.push(list);
    parts.push(...streamsBetween(from, to));
    parts.push(element("p", "faint", `Not in the records: ${data.left}. With all of it, after some minutes:`));
    parts.push(command(`nox -s gate -- --baseline ${releases[older].name} --candidate ${releases[newer].name}`));
    return parts;
  }

  function grouped([from, to, , , , exceptions]) {
    const told = new Map(Object.entries(exceptions).flatMap(([change, places]) => places.map(place => [place, Number(change)])));
    const groups = new Map();
    paths.forEach((path, place) => {
      const [before, after] = [texts[path[2]][from], texts[path[2]][to]];
      const change = told.get(place) ?? (before === after ? undefined : usual.get(before + after));
      if (change === undefined) return;
      const key = `${change} ${path[0]}`;
      if (!groups.has(key)) groups.set(key, { change, row: rows[path[0]], subjects: [] });
      groups.get(key).subjects.push(texts[path[1]]);
    });
    return [...groups.values()].sort((a, b) => a.change - b.change || b.subjects.length - a.subjects.length);
  }

  function folded(className, summary, subjects) {
    const item = element("li"), made = element("details", className), head = element("summary");
    head.append(...summary);
    made.append(head);
    made.addEventListener("toggle", () => {
      if (!made.open || made.children.length > 1) return;
      const list = element("ul");
      list.append(...subjects.map(subject => element("li", "", subject)));
      made.append(list);
    });
    item.append(made);
    return item;
  }

  function group({ change, row, subjects }) {
    const { words, tone } = changes[change];
    return folded(tone, [element("span", "was", words), element("b", "", name(row)), element("span", "n", plural(subjects.length, "claim"))], subjects);
  }

  function streamsBetween(from, to) {
    const both = ([, letters]) => texts[letters][from] !== "-" && texts[letters][to] !== "-";
    const changed = streams.filter(stream => both(stream) && texts[stream[1]][from] !== texts[stream[1]][to]);
    const head = element("h3", "", changed.length ? "Streams that changed" : "No stream changed: one seed gives the same weights");
    if (!changed.length) return [head];
    const list = element("ul", "changed");
    list.append(folded("warn", [element("span", "was", "another stream"), element("b", "", "the same seed gives other weights"), element("span", "n", plural(changed.length, "subject"))], changed.map(([key]) => texts[key])));
    return [head, list];
  }

  // Addresses that can be cited: #cell=FAMILY/DTYPE/RELEASE and #compare=OLDER..NEWER

  function follow() {
    const [, kind, rest] = /^#(cell|compare)=(.*)$/.exec(location.hash) || [];
    const place = wanted => releases.findIndex(release => release.name === wanted);
    if (kind === "compare") {
      const ends = rest.split("..").map(place);
      if (ends.length !== 2 || !ends.every(end => releases[end]?.answers)) return;
      picked = ends;
      marked();
      show(...ends, true);
    } else if (kind === "cell") {
      let parts;
      try {
        parts = rest.split("/").map(decodeURIComponent);
      } catch {
        return;
      }
      const number = rows.findIndex(row => texts[row[1]] === parts[0] && texts[row[2]] === parts[1]);
      if (number >= 0 && place(parts[2]) >= 0) open(number, place(parts[2]));
    }
  }

  function start() {
    for (const [key, words, fits] of KINDS) {
      const option = element("option", "", `${words} (${count(rows.filter(fits).length)})`);
      option.value = key;
      form.elements.rows.append(option);
    }
    for (const suite of new Set(rows.map(row => texts[row[0]]))) {
      const option = element("option", "", suite);
      option.value = suite;
      form.elements.suite.append(option);
    }
    for (const select of [pair.elements.older, pair.elements.newer])
      for (const place of answered) {
        const option = element("option", "", releases[place].name);
        option.value = place;
        select.append(option);
      }
    form.hidden = false;
    grid.setAttribute("role", "grid");
    grid.setAttribute("aria-multiselectable", "true");
    for (const head of grid.rows[0].cells) head.tabIndex = -1;
    [...grid.rows[0].cells].slice(1).forEach((head, place) => {
      const why = releases[place].why;
      head.setAttribute("aria-label", `torch ${releases[place].name}${why ? `: ${why}` : ", choose to compare"}`);
      if (why) head.title = why;
    });
    marked();
    page.listen();
    apply();
    // The newest release is what most come for; where all have room, nothing moves.
    document.getElementById("box").scrollLeft = grid.offsetWidth;
    if (answered.length > 1) {
      pair.hidden = false;
      show(answered.at(-2), answered.at(-1), false);
      pair.addEventListener("input", () => show(Number(pair.elements.older.value), Number(pair.elements.newer.value), false));
    }
    page.filter(form, apply, apply);
    grid.addEventListener("keydown", walk);
    grid.addEventListener("click", event => {
      const button = event.target.closest("[data-fold]"), cell = event.target.closest("td, th");
      if (button) {
        const key = button.dataset.fold;
        if (!unfolded.delete(key)) unfolded.add(key);
        apply();
        rove([...body.querySelectorAll("[data-fold]")].find(each => each.dataset.fold === key).parentElement);
      } else if (cell) {
        rove(cell, false);
        wantedColumn = cell.cellIndex;
        press(cell);
      }
    });
    detail.addEventListener("click", event => event.target === detail && detail.close());
    detail.addEventListener("close", () => {
      if (opened) rove(lineOf(opened[0]).isConnected ? lineOf(opened[0]).cells[opened[1] + 1] : focused?.closest("td, th"));
      opened = null;
      history.replaceState(null, "", location.pathname + location.search);
    });
    window.addEventListener("hashchange", follow);
    follow();
  }

  start();
})();
