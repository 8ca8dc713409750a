// A charging station on npm's ocpp-rpc in strict mode: each message of either side is checked against the schemas of
// that package. Told what to do by lines of JSON on stdin; says what it hears by lines of JSON on stdout.
//   node ocpp_station.js ENDPOINT IDENTITY SUBPROTOCOL [PASSWORD] [CA]
const fs = require("fs");
const readline = require("readline");
const { RPCClient, createValidator } = require("ocpp-rpc");

// Release 2.2.1 looks its schemas of 2.1 up by names that they do not have.
const renamed = require("ocpp-rpc/lib/schemas/ocpp2_1.json").map((schema) => ({
  ...schema, $id: schema.$id.replace(/Request$/, ".req").replace(/Response$/, ".conf"),
}));

const [endpoint, identity, protocol, password, ca] = process.argv.slice(2);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const profiles = new Map();

const station = new RPCClient({
  endpoint, identity, password: password || undefined,
  protocols: [protocol], strictMode: true,
  strictModeValidators: [createValidator("ocpp2.1", renamed)], reconnect: false, callTimeoutMs: 5000,
  wsOpts: ca ? { ca: fs.readFileSync(ca) } : {},
});

let shift = 0; // how far its clock was put ahead, in ms
let composes = "standard"; // or "least": the lowest of all; or "forever": no profile ever ends
const now = () => Date.now() + shift;

// The same id, or the same purpose and stack level, replaces (OCPP 1.6, 5.16; 2.0.1, K01.FR.05).
function install(connector, profile) {
  const id = profile.chargingProfileId || profile.id;
  for (const [other, kept] of profiles) {
    if (kept.connector === connector && kept.chargingProfilePurpose === profile.chargingProfilePurpose
        && kept.stackLevel === profile.stackLevel) profiles.delete(other);
  }
  profiles.set(id, { ...profile, connector });
}

// What a profile says now; undefined before its beginning and after its end.
function period(profile) {
  const schedule = [profile.chargingSchedule].flat()[0];
  const start = schedule.startSchedule ? Date.parse(schedule.startSchedule) : now();
  const over = composes !== "forever" && schedule.duration !== undefined && now() >= start + 1000 * schedule.duration;
  return over || now() < start ? undefined : schedule.chargingSchedulePeriod[0];
}

// Of each purpose the highest stack level that says something now; an order goes before the default; never more than
// the whole station may (OCPP 1.6, 3.13.2 and 3.13.3).
function limitNow() {
  const said = [...profiles.values()].map((profile) => ({ ...profile, says: period(profile) }))
    .filter((profile) => profile.says !== undefined).sort((one, other) => other.stackLevel - one.stackLevel);
  const of = (...purposes) => said.find((p) => purposes.includes(p.chargingProfilePurpose));
  const none = { startPeriod: 0, limit: 22000 };
  const mine = (of("TxProfile") || of("TxDefaultProfile") || { says: none }).says;
  const most = (of("ChargePointMaxProfile", "ChargingStationMaxProfile") || { says: none }).says;
  const all = composes === "least" ? said.map((p) => p.says) : [mine, most];
  if (mine.limit === undefined) return mine; // a setpoint of 2.1
  return all.reduce((least, one) => (one.limit < least.limit ? one : least), mine);
}

function answer(method, params) {
  switch (method) {
    case "SetChargingProfile": {
      const connector = params.connectorId === undefined ? params.evseId : params.connectorId;
      install(connector, params.csChargingProfiles || params.chargingProfile);
      return { status: "Accepted" };
    }
    case "ClearChargingProfile":
      return { status: profiles.delete(params.id || params.chargingProfileId) ? "Accepted" : "Unknown" };
    case "GetCompositeSchedule": {
      const common = { chargingRateUnit: "W", chargingSchedulePeriod: [limitNow()] };
      const start = new Date().toISOString();
      if (protocol === "ocpp1.6")
        return { status: "Accepted", connectorId: params.connectorId, scheduleStart: start, chargingSchedule: common };
      return { status: "Accepted", schedule: { ...common, evseId: params.evseId, duration: params.duration,
        scheduleStart: start } };
    }
    case "SetVariables":
      return { setVariableResult: params.setVariableData.map((one) => ({ attributeStatus: "Accepted",
        component: one.component, variable: one.variable })) };
    default:
      return { status: "Accepted" };
  }
}

station.handle(({ method, params }) => {
  say({ heard: method, params });
  return answer(method, params);
});
station.on("badMessage", (bad) => say({ bad: String(bad.error) }));
station.on("strictValidationFailure", (bad) => say({ invalid: String(bad.error), message: bad.message }));
let connected = false;
station.on("close", () => { if (connected) { say({ closed: true }); process.exit(0); } });

station.connect().then(() => { connected = true; say({ connected: station.protocol }); }).catch((error) => {
  say({ refused: error.code || error.message });
  process.exit(0);
});
readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const order = JSON.parse(line);
  if (order.limit) { say({ limit: limitNow() }); return; }
  if (order.shift) { shift += 1000 * order.shift; return; }
  if (order.composes) { composes = order.composes; return; }
  if (order.install) { install(order.connector, order.install); return; } // by somebody else than the central system
  if (order.close) { await station.close(); return; }
  try {
    say({ answer: await station.call(order.call, order.params) });
  } catch (error) {
    say({ error: error.rpcErrorCode || error.code || error.message });
  }
}).on("close", () => process.exit(0));
