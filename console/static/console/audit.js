// The page of the audit log: narrows the search by dragging over the chart or with the keyboard, and says how many newer
// events there are without moving what is read. Without it each bar is a link, and a reload shows what is new.
const chart = document.querySelector("svg.spread");
const announcer = document.getElementById("announcer");

if (chart) {
  const bars = [...chart.querySelectorAll("a")];
  const help = document.getElementById("spread-help");
  const words = help.textContent;
  let from = null, to = null, dragging = false, dragged = false;

  const ends = () => [Math.min(from, to), Math.max(from, to)];
  const label = (bar) => bar.getAttribute("aria-label");

  function show() {
    const [first, last] = from === null ? [1, 0] : ends();
    bars.forEach((bar, index) => bar.toggleAttribute("data-chosen", first < last && index >= first && index <= last));
    if (first >= last) return (help.textContent = words);
    const count = bars.slice(first, last + 1).reduce((sum, bar) => sum + Number(bar.dataset.count), 0);
    const name = (bar) => label(bar).replace(/:[^:]*$/, "");
    help.textContent = `${name(bars[first])} until ${name(bars[last])}: ${count.toLocaleString("en")} events`;
    announcer.textContent = `${help.textContent}. Enter narrows the search to them.`;
  }

  function narrow() {
    const [first, last] = ends();
    const line = [chart.dataset.timeless, `after:${bars[first].dataset.begin}`, `before:${bars[last].dataset.end}`];
    const url = new URL(chart.dataset.address, location.href);
    url.searchParams.set("q", line.filter(Boolean).join(" "));
    location.href = url;
  }

  function forget() {
    from = to = null;
    dragging = false;
    show();
  }

  // One stop for the Tab key: the arrows move between the bars, with Shift they choose several.
  bars.forEach((bar, index) => (bar.tabIndex = index === bars.length - 1 ? 0 : -1));

  function focus(index) {
    bars.forEach((bar, each) => (bar.tabIndex = each === index ? 0 : -1));
    bars[index].focus();
  }

  chart.addEventListener("keydown", (event) => {
    const here = bars.indexOf(document.activeElement);
    if (here < 0) return;
    const there = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: bars.length - 1 }[event.key];
    if (there !== undefined) {
      event.preventDefault();
      const next = Math.max(0, Math.min(bars.length - 1, there));
      if (event.shiftKey) {
        from ??= here;
        to = next;
      } else {
        from = to = null;
      }
      focus(next);
      show();
    } else if (event.key === "Enter" && from !== null && from !== to) {
      event.preventDefault();
      narrow();
    } else if (event.key === "Escape") {
      forget();
    }
  });

  const barAt = (event) => {
    const box = chart.getBoundingClientRect();
    const index = Math.floor(((event.clientX - box.left) / box.width) * bars.length);
    return Math.max(0, Math.min(bars.length - 1, index));
  };
  chart.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    dragging = true;
    dragged = false;
    from = to = barAt(event);
  });
  chart.addEventListener("dragstart", (event) => event.preventDefault()); // the browser's own, of a link
  addEventListener("pointermove", (event) => {
    if (!dragging) return;
    to = barAt(event);
    dragged ||= to !== from;
    show();
  });
  addEventListener("pointerup", () => {
    if (!dragging) return;
    dragging = false;
    if (from !== to) narrow();
    else forget();
  });
  chart.addEventListener("click", (event) => dragged && event.preventDefault(), true);
}

const newer = document.getElementById("newer");
const EVERY = 10; // seconds

async function look() {
  if (document.hidden) return;
  try {
    const response = await fetch(newer.dataset.url, { cache: "no-store", redirect: "manual", headers: { "HX-Request": "true" } });
    if (!response.ok) return;
    const { count, more } = await response.json();
    if (!count || newer.dataset.count === `${count}`) return;
    newer.dataset.count = count;
    const link = document.createElement("a");
    const url = new URL(location.href);
    url.searchParams.delete("older");
    url.searchParams.delete("newer");
    link.href = url;
    link.className = "button small";
    link.textContent = `${count}${more ? "+" : ""} newer event${count === 1 ? "" : "s"}`;
    newer.replaceChildren(link);
    newer.hidden = false;
  } catch {
    // The next look tells; a page that is read does not change by itself.
  }
}

if (newer) {
  setInterval(look, EVERY * 1000);
  document.addEventListener("visibilitychange", look);
}
