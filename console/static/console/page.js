// The small things of every page: dismissing notices, copying, counting letters, closing menus, sending a form once.
for (const notice of document.querySelectorAll("[data-dismissable]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button quiet small dismiss";
  button.textContent = "Dismiss";
  button.addEventListener("click", () => notice.remove());
  notice.append(button);
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const source = document.getElementById(copy.dataset.copy);
    const words = copy.textContent;
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
      copy.textContent = "Copied";
    } catch {
      source.select?.(); // no clipboard (plain http): selected, ready for Ctrl-C
      copy.textContent = "Press Ctrl-C";
    }
    setTimeout(() => (copy.textContent = words), 2000);
    return;
  }
  for (const menu of document.querySelectorAll("details.account[open], .topbar > details[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.activeElement?.closest("details.account[open], .topbar > details[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

function count(field) {
  const counter = document.getElementById(field.dataset.counter);
  if (counter) counter.textContent = `${[...field.value].length} of ${field.maxLength}`;
}
document.addEventListener("input", (event) => event.target.matches("[data-counter]") && count(event.target));
document.addEventListener("console:updated", () => document.querySelectorAll("[data-counter]").forEach(count));
document.querySelectorAll("[data-counter]").forEach(count);

// The server takes a form once whatever is sent (operation token); this spares the second press its wait.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "true";
  event.submitter?.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});

document.querySelectorAll("[data-print]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => print());
});
// Without JavaScript nothing would happen at these, so they come hidden.
document.querySelectorAll("[data-copy][hidden]").forEach((button) => (button.hidden = false));
