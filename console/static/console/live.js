// Follows a page along. A page that changes has one <div id="live" data-live-etag data-live-seconds>; this asks for the
// same URL again and again with If-None-Match. 304: nothing happened. 200: the new #live is morphed in by element id,
// so focus, scroll, typed text and open <details> stay. Dialogs lie outside #live and are never touched.
const SLOWEST = 30; // seconds between two looks while the console does not answer
let etag, timer, request, failures = 0, lastGood = new Date();

const region = () => document.getElementById("live");
const timeZone = document.documentElement.dataset.timeZone; // of the person, as in all times of the page
const clock = (date) => date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });

// What the person opened or typed is theirs: a morph leaves it. A ticking time is only replaced when its moment is.
htmx.registerExtension("console", {
  htmx_before_morph_attr(element, { attrName }) {
    if (attrName === "open" && element.matches("details, dialog")) return false;
    if (attrName === "value" && element === document.activeElement) return false;
    if (attrName === "title" && element.matches("time[data-relative]")) return false;
  },
  htmx_before_morph_node(element, { newNode }) {
    if (element.matches?.("time[data-relative]") && element.dateTime === newNode.dateTime) return false;
  },
});

function say(text) {
  document.getElementById("announcer").textContent = text;
}

// The one notice about the page itself: that it stands still, and why. Without a kind: all is well again.
function tell(kind = "", text = "", action) {
  const place = document.getElementById("connection");
  if (place.dataset.text === text) return;
  place.dataset.text = text;
  if (!kind) return place.replaceChildren();
  say(text);
  const notice = document.createElement("div");
  notice.className = "notice";
  notice.dataset.kind = kind;
  const words = document.createElement("p");
  words.textContent = text;
  notice.append(words);
  if (action) {
    const link = document.createElement("a");
    link.className = "button small";
    link.href = action.href;
    link.textContent = action.text;
    notice.append(link);
  }
  place.replaceChildren(notice);
}

// Outcomes, said once and together: each element with data-announce whose words are new since the last look.
const spoken = (root) => new Map([...root.querySelectorAll("[data-announce]")].map((e) => [e.id, e.dataset.announce]));

function announce(before, after) {
  const news = [...after].filter(([id, words]) => before.get(id) !== words).map(([, words]) => words);
  if (!news.length) return;
  const text = news.length > 3 ? `${news.slice(0, 3).join(". ")}. And ${news.length - 3} more.` : news.join(". ");
  say(text);
}

async function show(html, filtered) {
  const before = spoken(region());
  const focused = document.activeElement;
  await htmx.swap({ text: html, target: region(), swap: "outerMorph", sourceElement: document.body });
  document.dispatchEvent(new CustomEvent("console:updated"));
  if (filtered) say(region().querySelector("[data-found], .empty h2, .notice")?.textContent.trim() ?? "");
  else announce(before, spoken(region()));
  if (focused !== document.body && !focused.isConnected) {
    // What had the focus is gone (a row that ended): stay at its place, not at the top of the page.
    const again = focused.id && document.getElementById(focused.id);
    if (!again) region().tabIndex = -1; // set here: the morph takes off what the server did not send
    (again || region()).focus({ preventScroll: true });
  }
}

async function look({ filtered = false } = {}) {
  clearTimeout(timer);
  request?.abort();
  const mine = (request = new AbortController());
  const limit = setTimeout(() => mine.abort("late"), 20_000);
  try {
    const response = await fetch(location.href, {
      cache: "no-store",
      credentials: "same-origin",
      redirect: "manual",
      signal: mine.signal,
      headers: { "HX-Request": "true", "HX-Target": "live", ...(etag && { "If-None-Match": etag }) },
    });
    if (response.type === "opaqueredirect" || response.status === 401) {
      const next = encodeURIComponent(location.pathname + location.search);
      return tell("warn", `You are signed out. This page shows what was known at ${clock(lastGood)}.`, {
        href: `/accounts/login/?next=${next}`,
        text: "Sign in",
      });
    }
    if (response.status === 403 || response.status === 404) {
      return tell("warn", `This page is no longer yours to see, or no longer there. It shows what was known at ${clock(lastGood)}.`, {
        href: "/",
        text: "Overview",
      });
    }
    if (response.status === 200) {
      const html = (await response.text()).trim();
      if (mine !== request) return;
      if (!/^<[^>]*\bid="live"/.test(html)) throw new Error("not the live part of this page");
      etag = response.headers.get("ETag");
      await show(html, filtered);
    } else if (response.status !== 304) {
      throw new Error(`status ${response.status}`);
    }
    const date = Date.parse(response.headers.get("Date"));
    if (date) document.documentElement.dataset.clockAhead = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
    failures = 0;
    lastGood = new Date();
    tell();
  } catch (error) {
    if (mine !== request) return; // a newer look took over
    failures += 1;
    // One missed look is a hiccup; from the second on, say that the page stands still.
    if (failures > 1) tell("error", `Connection lost. Showing what was known at ${clock(lastGood)}; trying again.`);
  } finally {
    clearTimeout(limit);
  }
  if (mine === request) plan();
}

function plan() {
  clearTimeout(timer);
  if (document.hidden || !region()) return;
  const seconds = Number(region().dataset.liveSeconds) || 5;
  const wait = failures ? Math.min(SLOWEST, seconds * 2 ** failures) * (0.75 + Math.random() / 2) : seconds;
  timer = setTimeout(look, wait * 1000);
}

// Filters apply as they are typed; the address follows, so that it can be kept, sent and reloaded.
function follow(form) {
  const url = new URL(form.action || location.href);
  url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
  if (url.href === location.href) return;
  form.querySelector("[data-clear]")?.toggleAttribute("hidden", !url.search);
  history.replaceState(null, "", url);
  etag = undefined;
  look({ filtered: true });
}

if (region()) {
  etag = region().dataset.liveEtag;
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
  addEventListener("online", () => look());
  addEventListener("pageshow", (event) => event.persisted && look());
  for (const form of document.querySelectorAll("form[data-live-filters]")) {
    let pause;
    const soon = (wait) => {
      clearTimeout(pause);
      pause = setTimeout(follow, wait, form);
    };
    form.addEventListener("input", (event) => soon(event.target.matches("input:not([type=checkbox])") ? 300 : 0));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      soon(0);
    });
  }
  plan();
}
