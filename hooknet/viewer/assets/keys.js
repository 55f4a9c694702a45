// The keyboard, wherever the focus is.
"use strict";

// `actions`: key -> what it does; arrow keys stay with a slider that has the focus, letters with a field of text.
Viewer.listen = function (actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const focus = event.target;
    if (focus.matches("select, input[type=search], input[type=text]")) return;
    if (focus.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return;
    if (focus.matches(".scroll, aside *") && /^Arrow/.test(event.key)) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
};
