// Opens a link marked data-dialog in the page's one <dialog> instead of as a page of its own. Whatever goes wrong on
// the way, the link is followed as it is.
const dialog = document.getElementById("dialog");
let opener;

async function open(link) {
  if (link.ariaBusy === "true") return;
  link.ariaBusy = "true";
  try {
    const response = await fetch(link.href, {
      cache: "no-store",
      credentials: "same-origin",
      redirect: "manual",
      headers: { "HX-Request": "true", "HX-Target": "dialog" },
    });
    if (response.status !== 200) return location.assign(link.href);
    dialog.innerHTML = await response.text();
    if (!dialog.querySelector("#dialog-title")) return location.assign(link.href);
    htmx.process(dialog);
    opener = link;
    dialog.showModal();
    document.dispatchEvent(new CustomEvent("console:updated"));
    dialog.querySelector("[data-first]")?.focus();
  } catch {
    location.assign(link.href);
  } finally {
    link.ariaBusy = null;
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog][href]");
  if (link && !event.defaultPrevented && event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)) {
    event.preventDefault();
    open(link);
  } else if (dialog?.contains(event.target) && event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});

// Back to the button that opened it, even when the page was updated meanwhile and the button is another element.
dialog?.addEventListener("close", () => {
  dialog.replaceChildren();
  const again = opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id);
  (again || document.getElementById("main")).focus({ preventScroll: true });
});
