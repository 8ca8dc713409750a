// Fragments that the server sends when they change. What is not heard of any more is said to be old.
"use strict";
(() => {
  const SILENT_MS = 40000;
  // What somebody does with a part of the page outlives its renewal: focus, opened tables, scrolled ones.
  const kept = (old) => {
    const active = document.activeElement;
    const same = (place) => [...place.querySelectorAll("a[href], button, summary, input, select, [tabindex]")];
    const at = same(old).indexOf(active);
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    const rolled = [...old.querySelectorAll(".table")].map((one) => [one.scrollLeft, one.scrollTop]);
    return (fresh) => {
      [...fresh.querySelectorAll("details")].forEach((one, k) => { one.open = open[k] ?? one.open; });
      [...fresh.querySelectorAll(".table")].forEach((one, k) => { [one.scrollLeft, one.scrollTop] = rolled[k] ?? [0, 0]; });
      const next = at < 0 ? null : same(fresh).find((one) => one.outerHTML === active.outerHTML) ?? same(fresh)[at];
      if (next) next.focus({ preventScroll: true });
    };
  };
  const follow = (id) => {
    const address = document.getElementById(id).dataset.live;
    let timer = 0;
    const lost = () => {
      const place = document.getElementById(id);
      place.classList.add("lost");
      const words = place.querySelector("[data-lost]");
      if (words) words.hidden = false;
    };
    const heard = () => { window.clearTimeout(timer); timer = window.setTimeout(lost, SILENT_MS); };
    const stream = new EventSource(address);
    stream.addEventListener("beat", heard);
    stream.addEventListener("fragment", (event) => {
      const fresh = new DOMParser().parseFromString(event.data, "text/html").getElementById(id);
      const place = document.getElementById(id);
      if (fresh && place) {
        const restore = kept(place);
        place.replaceWith(document.adoptNode(fresh));
        restore(document.getElementById(id));
        if (window.htmx) window.htmx.process(document.getElementById(id));
        heard();
      }
    });
    stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) lost(); });
    window.addEventListener("pagehide", () => stream.close());
    heard();
  };
  for (const place of document.querySelectorAll("[data-live]")) follow(place.id);
})();
