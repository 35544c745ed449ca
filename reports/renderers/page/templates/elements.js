"use strict";
// What the scripts of all pages use. Everything is shown as text (textContent), and nothing is fetched.
const page = (() => {
  const count = n => n.toLocaleString("en").replaceAll(",", "\u202f");

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function linked(reference) {
    if (!/^https:\/\//.test(reference)) return document.createTextNode(reference);
    const link = element("a", "", reference);
    link.href = reference;
    link.rel = "noreferrer";
    return link;
  }

  function command(text) {
    const made = element("div", "command");
    made.append(element("code", "", text), copier());
    return made;
  }

  function copier() {
    const button = element("button", "small", "Copy");
    button.type = "button";
    return button;
  }

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }

  function listen() {
    for (const each of document.querySelectorAll(".command")) each.append(copier());
    document.addEventListener("click", event => {
      const pressed = event.target.closest("button");
      if (pressed?.parentElement.classList.contains("command")) copy(pressed);
    });
    window.addEventListener("beforeprint", () => {
      for (const each of document.querySelectorAll("details.fold")) each.open = true;
    });
  }

  // Words are applied once nobody has typed for a moment.
  function filter(form, apply, reset) {
    let waiting;
    form.addEventListener("input", event => {
      clearTimeout(waiting);
      waiting = setTimeout(apply, event.target.name === "words" ? 120 : 0);
    });
    form.addEventListener("submit", event => event.preventDefault());
    document.getElementById("clear").addEventListener("click", () => {
      form.reset();
      reset();
    });
  }

  return { count, element, linked, command, listen, filter };
})();
