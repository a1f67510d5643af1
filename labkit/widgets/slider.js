// A slider with a name that a screen reader tells: the browser's own, where ipywidgets' has none.

function render({ model, el }) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const shown = document.createElement("output");
  const step = model.get("step");
  const digits = Number.isInteger(step) ? 0 : 2;
  Object.assign(input, { type: "range", min: model.get("min"), max: model.get("max"), step });

  function draw() {
    input.value = model.get("value");
    shown.textContent = model.get("value").toFixed(digits);
  }
  input.oninput = () => {
    model.set("value", Number(input.value));
    model.save_changes();
    draw();
  };
  model.on("change:value", draw);
  label.append(model.get("description"), input);
  el.classList.add("labkit", "slider");
  el.onkeydown = (event) => event.stopPropagation();  // arrows move the slider, not JupyterLab's cells
  el.append(label, shown);
  draw();
  return () => model.off("change:value", draw);
}

export default { render };
