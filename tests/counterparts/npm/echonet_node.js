// A node on npm's echonet-lite: a V2H charger (0x027E) and a smart meter (0x0288). The package takes and answers the
// frames; what it is told it acknowledges, and keeps only with "applies" as first word. Prints what it was told.
const EL = require("echonet-lite");

const bytes = (hex) => (hex.match(/../g) || []).map((pair) => parseInt(pair, 16));
const applies = process.argv[2] === "applies";
const details = {
  "027e01": {
    "80": [0x30], "81": [0x00], "82": [0x00, 0x00, 0x52, 0x00], "88": [0x42], "8a": [0x00, 0x00, 0x77],
    "c7": [0x43], "c8": bytes("0000000000001770"), "c9": bytes("0000000000001770"), "d3": bytes("00000000"),
    "da": [0x44], "db": [0x02], "e4": [0x32], "eb": bytes("00000000"), "ec": bytes("00000000"),
    "9d": bytes("0280da"), "9e": bytes("0381daebec"), // four are said, three are named below
    "9f": bytes("1080818288c7c8c9d3dae4"), // replaced below
  },
  "028801": {
    "80": [0x30], "88": [0x42], "d7": [0x06], "e0": bytes("00003039"), "e1": [0x01], "e3": bytes("00000309"),
    "e7": bytes("fffffa24"), "9d": bytes("0180"), "9e": bytes("0181"),
    "9f": bytes("0a8088d7e0e1e3e79d9e9f"),
  },
};
details["027e01"]["9e"] = bytes("0481daebec");
const readable = Object.keys(details["027e01"]).map((code) => parseInt(code, 16));
const bits = new Array(16).fill(0);
readable.forEach((code) => { bits[code & 0x0f] |= 1 << ((code >> 4) - 8); });
details["027e01"]["9f"] = [readable.length, ...bits];

const took = (rinfo, els) => {
  if (els.ESV === EL.GET) EL.replyGetDetail(rinfo, els, details);
  if (els.ESV !== EL.SETC) return;
  process.stdout.write(JSON.stringify({ told: els.DETAILs, object: els.DEOJ }) + "\n");
  if (applies && details[els.DEOJ])
    for (const [code, value] of Object.entries(els.DETAILs)) details[els.DEOJ][code] = bytes(value);
  EL.replySetDetail(rinfo, els, details);
};

EL.initialize(Object.keys(details), (rinfo, els, error) => {
  if (!error && els && details[els.DEOJ]) took(rinfo, els);
}, 4, { v4: "127.0.0.1", ignoreMe: false, autoGetProperties: false }).then(() => {
  EL.sock4.on("listening", () => process.stdout.write(JSON.stringify({ up: true }) + "\n"));
});
process.stdin.resume();
process.stdin.on("close", () => process.exit(0));
