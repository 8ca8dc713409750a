// One series to look at closely: zoom by dragging or by buttons; a closer look fetches what was left out.
"use strict";
(() => {
  const box = document.querySelector("[data-explore]");
  if (!box) return;
  const place = box.querySelector(".canvas");
  const thin = box.querySelector("[data-thinned]");
  const address = box.dataset.explore;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const japan = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Asia/Tokyo");
  const two = (number) => String(number).padStart(2, "0");
  const moment = (seconds) => {
    const at = japan(seconds);
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
  };
  const number = new Intl.NumberFormat(box.dataset.lang === "ja" ? "ja-JP" : "en-GB", { maximumFractionDigits: 3 });
  let whole = null, plot = null, latest = 0, waiting = 0;

  const fetchValues = async (range) => {
    const asked = ++latest;
    const more = range ? `&start=${range[0]}&end=${range[1]}` : "";
    const answer = await fetch(address + more, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const told = await answer.json();
    return asked === latest ? told : null;
  };

  // Asked for at every drawing: at dusk the page turns dark while it is open.
  const ink = (name) => () => colour(name);
  const axis = () => ({ stroke: ink("--soft"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line") } });

  const draw = (told) => {
    const options = {
      width: place.clientWidth, height: Math.max(320, Math.min(520, window.innerHeight * 0.55)),
      tzDate: japan,
      scales: { x: { time: true } },
      cursor: { drag: { x: true, y: false } },
      series: [
        { label: "", value: (_, seconds) => (seconds === null ? "" : moment(seconds)) },
        { label: box.dataset.label, stroke: ink("--accent"), width: 1.5, spanGaps: false,
          points: { size: 4 }, value: (_, value) => (value === null ? "" : `${number.format(value)} ${box.dataset.unit}`) },
      ],
      axes: [
        { ...axis(), values: (_, at) => at.map((seconds, k) => {
          const when = japan(seconds), day = `${when.getMonth() + 1}/${when.getDate()}`;
          const step = at.length > 1 ? at[1] - at[0] : 0;
          if (step >= 86400) return day;
          const clock = `${when.getHours()}:${two(when.getMinutes())}`;
          return k === 0 || (when.getHours() === 0 && when.getMinutes() === 0) ? `${clock}\n${day}` : clock;
        }) },
        { ...axis(), size: 64 },
      ],
      hooks: { setScale: [(self, key) => { if (key === "x" && whole) closer(self.scales.x.min, self.scales.x.max); }] },
    };
    plot = new uPlot(options, [told.at, told.values], place);
    whole = [told.at[0], told.at[told.at.length - 1]];
    thin.hidden = !told.thinned;
  };

  const closer = (min, max) => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(async () => {
      const told = await fetchValues([min, max]).catch(() => null);
      if (!told || !told.at.length) return;
      thin.hidden = !told.thinned;
      plot.setData([told.at, told.values], false);
      plot.redraw();
    }, 150);
  };

  const move = (how) => {
    const { min, max } = plot.scales.x, span = max - min, middle = (min + max) / 2;
    const to = { left: [min - span / 2, max - span / 2], right: [min + span / 2, max + span / 2],
      in: [middle - span / 4, middle + span / 4], out: [middle - span, middle + span], all: whole }[how];
    const long = Math.min(whole[1] - whole[0], to[1] - to[0]);
    const first = Math.max(whole[0], Math.min(whole[1] - long, to[0]));
    plot.setScale("x", { min: first, max: first + long });
  };

  box.addEventListener("click", (event) => { if (event.target.dataset.move && plot) move(event.target.dataset.move); });
  window.addEventListener("resize", () => { if (plot) plot.setSize({ width: place.clientWidth, height: plot.height }); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (plot) plot.redraw(); });
  box.hidden = false;
  fetchValues(null).then((told) => { if (told) draw(told); }).catch(() => { place.textContent = box.dataset.slow; });
})();
