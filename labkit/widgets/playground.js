// The adversarial playground's view. Texts are set as text, never as HTML.

function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function percent(probability) {
  return `${Math.round(100 * probability)} %`;
}

function rowsOf(result) {
  if (result.error) return make("p", {}, `✗ ${result.error}`);
  const head = make("tr", {}, ...result.columns.map((name) => make("th", { scope: "col" }, name)));
  const rows = result.rows.map((row) => make("tr", {}, ...row.map((value) => make("td", {}, value))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

function render({ model, el }) {
  const { unsure } = JSON.parse(model.get("state"));
  const waiting = new Map();
  let number = 0;
  let place = -1;

  const question = make("input", { size: 60, "aria-label": "your question" });
  const ask = make("button", { type: "button", className: "first" }, "Ask");
  const shown = make("div", {});
  const gold = make("textarea", { rows: 2, spellcheck: false, "aria-label": "the right SQL, if the answer is wrong" });
  const right = make("button", { type: "button", disabled: true }, "✓ The answer is right");
  const wrong = make("button", { type: "button", disabled: true }, "✗ The answer is wrong");
  const said = make("div", { className: "said", role: "status", "aria-live": "polite" });
  const near = make("div", { className: "bar" });

  function send(message, answered) {
    const id = ++number;
    waiting.set(id, answered);
    model.send({ id, ...message });
  }

  function onMessage(message) {
    const answered = waiting.get(message.id);
    waiting.delete(message.id);
    if (answered) answered(message);
  }

  function show(answer) {
    const tokens = answer.tokens.map(([token, p]) => make("li", { className: p < unsure ? "unsure" : "" },
      make("code", {}, (p < unsure ? "? " : "") + token), make("small", {}, percent(p))));
    shown.replaceChildren(make("h4", {}, answer.question), make("p", {}, make("code", {}, answer.sql)),
      ...(tokens.length ? [make("ul", { className: "tokens", "aria-label": "probability of each token" },
        ...tokens)] : []), make("p", {}, answer.sentence), rowsOf(answer.result));
    suggest(answer.suggestions);
  }

  function suggest(questions) {
    near.replaceChildren(...questions.map((text) => {
      const button = make("button", { type: "button" }, text);
      button.onclick = () => { question.value = text; ask.click(); };
      return button;
    }));
  }

  ask.onclick = () => {
    if (ask.disabled || !question.value.trim()) return;
    ask.disabled = right.disabled = wrong.disabled = true;
    said.textContent = "asking …";
    send({ kind: "ask", question: question.value }, (message) => {
      ask.disabled = false;
      said.textContent = message.error ? `✗ ${message.error}` : "";
      if (message.error) return;
      place = message.place;
      gold.value = "";
      right.disabled = wrong.disabled = false;
      show(message.answer);
    });
  };
  function judge(isRight) {
    right.disabled = wrong.disabled = true;
    send({ kind: "keep", right: isRight, gold: isRight ? "" : gold.value, place }, (message) => {
      said.textContent = message.error ? `✗ ${message.error}` : `✓ ${message.done}`;
      right.disabled = wrong.disabled = !message.error && !message.done.startsWith("Nothing was kept");
      if (!message.error) suggest(message.suggestions);
    });
  }
  right.onclick = () => judge(true);
  wrong.onclick = () => judge(false);
  question.onkeydown = (event) => {
    if (event.key === "Enter") ask.click();
  };
  model.on("msg:custom", onMessage);

  el.classList.add("labkit");
  el.onkeydown = (event) => event.stopPropagation();  // JupyterLab's own shortcuts stay out
  el.setAttribute("role", "region");
  el.setAttribute("aria-label", "adversarial playground");
  el.append(make("div", { className: "bar" }, make("label", {}, "Your question", question), ask), shown,
    make("label", {}, "The right SQL, if the answer is wrong (optional)", gold),
    make("div", { className: "bar" }, right, wrong), said, make("h4", {}, "Near questions: where does it break?"), near);
  return () => model.off("msg:custom", onMessage);
}

export default { render };
