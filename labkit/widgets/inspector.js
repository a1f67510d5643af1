// The failing-query inspector's view. Records come once, as one text; filtering happens here. Texts are set as text,
// never as HTML: a model's answer cannot bring markup of its own.

export function filtered(records, { run = "", cls = "", tag = "", text = "" }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return records.filter((r) => {
    if ((run && r.run !== run) || (cls && r.class !== cls) || (tag && !r.tags.includes(tag))) return false;
    if (!words.length) return true;
    const all = `${r.id} ${r.question} ${r.prediction}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

export function counted(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

// What can no longer be done with a question that has left its set.
const CLOSED = { retired: ["promote", "add", "correct", "mark"], aside: ["promote", "add", "mark"] };

function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function labelled(text, control) {
  return make("label", {}, text, control);
}

function chooser(name, values) {
  const options = [make("option", { value: "" }, `all (${values.length ? counted(values).length : 0})`)];
  for (const [value, n] of counted(values)) options.push(make("option", { value }, `${value} (${n})`));
  return make("select", { "aria-label": name }, ...options);
}

function resultTable(title, result) {
  const parts = [make("h4", {}, title)];
  if (result.error) return make("div", {}, ...parts, make("p", {}, `✗ ${result.error}`));
  const head = make("tr", {}, ...result.columns.map((name) => make("th", { scope: "col" }, name)));
  const rows = result.rows.map((row, i) => make("tr", {}, ...row.map((value, j) => {
    const differs = result.differs[i][j];
    return make("td", { className: differs ? "differs" : "" }, differs ? `≠ ${value}` : value);
  })));
  const told = !result.rows.length ? "no rows" : result.more ? `and ${result.more} more rows` : "";
  const note = result.note ? [make("p", {}, `≠ ${result.note}`)] : [];
  return make("div", {}, ...parts, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)), told, ...note);
}

function diffTable(clauses) {
  const head = ["", "clause", "gold", "prediction"].map((name) => make("th", { scope: "col" }, name));
  const rows = clauses.map((c) => make("tr", {},
    make("td", {}, c.same ? "= same" : "≠ differs"), make("th", { scope: "row" }, c.clause),
    make("td", { className: c.same ? "" : "differs" }, make("code", {}, c.gold || "(none)")),
    make("td", { className: c.same ? "" : "differs" }, make("code", {}, c.prediction || "(none)"))));
  return make("table", {}, make("caption", {}, "Clause by clause"), make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...rows));
}

function render({ model, el }) {
  const state = JSON.parse(model.get("state"));
  const busy = new Set();  // "action id": not twice at once
  const drafts = new Map();  // key -> {question, sql} as they were edited: another selection loses nothing
  const waiting = new Map();
  let number = 0;
  let chosen = null;

  const run = chooser("run", state.records.map((r) => r.run));
  const cls = chooser("class", state.records.map((r) => r.class));
  const tag = chooser("tag", state.records.flatMap((r) => r.tags));
  const text = make("input", { type: "search", "aria-label": "words", placeholder: "words in question or SQL" });
  const line = (r) => `${r.state ? `${r.state}: ` : ""}${r.id}  [${r.class}]  ${r.question}`;
  const options = new Map(state.records.map((r) => [r.key, make("option", { value: r.key }, line(r))]));
  const list = make("select", { size: 8, className: "list", "aria-label": "failures" });
  const count = make("span", { role: "status", "aria-live": "polite" });
  const detail = make("div", { className: "detail" });
  const question = make("input", { size: 70, "aria-label": "question, editable" });
  const sql = make("textarea", { rows: 3, spellcheck: false, "aria-label": "SQL, editable" });
  const ran = make("div", { className: "sides" });
  const said = make("div", { className: "said", role: "status", "aria-live": "polite" });
  const runButton = make("button", { type: "button" }, "Run in the sandbox");
  const buttons = state.actions.map((action, i) =>
    make("button", { type: "button", className: i ? "" : "first", "data-action": action.name }, action.label));

  function ask(message, answered) {
    const id = ++number;
    waiting.set(id, answered);
    model.send({ id, ...message });
  }

  function onMessage(message) {
    const answered = waiting.get(message.id);
    waiting.delete(message.id);
    if (answered) answered(message);
  }

  const asked = () => ({ run: run.value, cls: cls.value, tag: tag.value, text: text.value });

  function fill() {
    const left = filtered(state.records, asked());
    list.replaceChildren(...left.map((r) => options.get(r.key)));
    tally(left);
    const kept = left.find((r) => chosen && r.key === chosen.key) || left[0] || null;
    if (kept) list.value = kept.key;
    if (kept !== chosen) show(kept);
  }

  function tally(left) {
    const settled = left.filter((r) => r.state || r.class === "right").length;
    count.textContent = `${left.length} of ${state.records.length} failures`
      + (settled ? `, ${settled} settled: retired, aside or right by now` : "");
  }

  function show(record) {
    if (chosen) drafts.set(chosen.key, { question: question.value, sql: sql.value });
    chosen = record;
    ran.replaceChildren();
    said.textContent = "";
    disable();
    if (!record) {
      detail.replaceChildren("No failure is left by this filter.");
      return;
    }
    const draft = drafts.get(record.key) || { question: record.question, sql: record.prediction };
    question.value = draft.question;
    sql.value = draft.sql;
    draw(record);
  }

  function draw(record) {
    detail.replaceChildren(
      make("h4", {}, `${record.id}: ${record.question}`),
      make("p", {}, [...(record.state ? [record.state] : []), record.class, `run ${record.run}`, record.tags.join(", ")]
        .join(" · ")),
      diffTable(record.clauses),
      make("div", { className: "sides" }, resultTable("Gold's result", record.gold_result),
        resultTable("Prediction's result", record.prediction_result)),
      make("p", {}, make("strong", {}, "Evidence: "), record.evidence),
      make("p", {}, make("strong", {}, "Hint: "), record.hint),
      ...(record.suggestion ? [make("p", {}, make("strong", {}, "Suggestion: "),
        make("code", {}, record.suggestion))] : []));
  }

  function update(changed) {
    for (const record of changed) {
      Object.assign(state.records.find((r) => r.key === record.key), record);
      options.get(record.key).textContent = line(record);
    }
    if (chosen && changed.some((r) => r.key === chosen.key)) draw(chosen);
    tally(filtered(state.records, asked()));
  }

  function disable() {
    const none = !chosen;
    for (const control of [question, sql, runButton]) control.disabled = none;
    for (const button of buttons) {
      const action = button.getAttribute("data-action");
      button.disabled = none || busy.has(`${action} ${chosen.id}`) || (CLOSED[chosen.state] || []).includes(action);
    }
  }

  runButton.onclick = () => {
    const record = chosen;
    said.textContent = "running …";
    ask({ kind: "run", key: record.key, sql: sql.value }, (message) => {
      if (chosen !== record) return;
      said.textContent = message.error || `Judged ${message.result.verdict || "not at all"}.`;
      ran.replaceChildren(...(message.result ? [resultTable("Your query's result", message.result)] : []));
    });
  };
  for (const button of buttons) button.onclick = () => {
    const record = chosen;
    const action = button.getAttribute("data-action");
    const mark = `${action} ${record.id}`;
    busy.add(mark);
    disable();
    said.textContent = "working …";
    ask({ kind: "act", action, key: record.key, question: question.value, sql: sql.value }, (message) => {
      busy.delete(mark);
      update(message.records || []);
      disable();
      said.textContent = message.error ? `✗ ${message.error}` : `✓ ${message.done}`;
    });
  };
  sql.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      runButton.click();
    }
  };
  list.onchange = () => show(state.records.find((r) => r.key === list.value) || null);
  run.onchange = cls.onchange = tag.onchange = fill;
  text.oninput = fill;
  model.on("msg:custom", onMessage);

  const editor = [labelled("Question", question), labelled("SQL (Ctrl+Enter runs it)", sql)];
  const bar = make("div", { className: "bar" }, ...(state.runs ? [runButton] : []), ...buttons);
  el.classList.add("labkit");
  el.onkeydown = (event) => event.stopPropagation();  // JupyterLab's own shortcuts stay out: arrows move in the list
  el.setAttribute("role", "region");
  el.setAttribute("aria-label", "failing-query inspector");
  el.append(make("div", { className: "bar" }, labelled("Run", run), labelled("Class", cls), labelled("Tag", tag),
    labelled("Words", text), count), labelled("Failures", list), detail, ...editor, bar, said, ran);
  fill();
  return () => model.off("msg:custom", onMessage);
}

export default { render };
