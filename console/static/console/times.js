// Turns <time datetime data-relative> into "4 s ago" and keeps it right. Without JavaScript the absolute time stays.
const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

function relative(seconds) {
  const age = Math.abs(seconds);
  if (age < 2) return "just now";
  const [, size, unit] = STEPS.find(([below]) => age < below);
  const words = `${Math.floor(age / size)} ${unit}`;
  return seconds < 0 ? `in ${words}` : `${words} ago`;
}

function tick() {
  if (document.hidden) return;
  // The clock of the server, not the one of this machine: a page says what it read then, and how long ago.
  const now = Date.now() + Number(document.documentElement.dataset.clockAhead ?? 0);
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const then = Date.parse(time.dateTime);
    if (Number.isNaN(then)) continue;
    time.title ||= time.textContent.trim();
    const words = relative((now - then) / 1000);
    if (time.textContent !== words) time.textContent = words;
  }
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
document.addEventListener("console:updated", tick);
tick();
