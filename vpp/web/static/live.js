// Fragments that the server sends when they change. What is not heard of any more is said to be old.
"use strict";
(() => {
  const SILENT_MS = 40000;
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
        place.replaceWith(document.adoptNode(fresh));
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
