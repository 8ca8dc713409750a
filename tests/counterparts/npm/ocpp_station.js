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

// What holds now: the order while it lasts, else the default (OCPP 1.6, 3.13.2).
function limitNow() {
  const now = Date.now();
  const of = (purpose) => [...profiles.values()].filter((p) => p.chargingProfilePurpose === purpose).map((p) => {
    const schedule = [p.chargingSchedule].flat()[0];
    const start = schedule.startSchedule ? Date.parse(schedule.startSchedule) : now;
    const over = schedule.duration !== undefined && now >= start + 1000 * schedule.duration;
    return over || now < start ? undefined : schedule.chargingSchedulePeriod[0];
  }).find((period) => period !== undefined);
  return of("TxProfile") || of("TxDefaultProfile") || { startPeriod: 0, limit: 22000 };
}

function answer(method, params) {
  switch (method) {
    case "SetChargingProfile": {
      const profile = params.csChargingProfiles || params.chargingProfile;
      profiles.set(profile.chargingProfileId || profile.id, profile);
      return { status: "Accepted" };
    }
    case "ClearChargingProfile":
      return { status: profiles.delete(params.id || params.chargingProfileId) ? "Accepted" : "Unknown" };
    case "GetCompositeSchedule": {
      const period = limitNow();
      const common = { chargingRateUnit: "W", chargingSchedulePeriod: [period] };
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
  if (order.close) { await station.close(); return; }
  try {
    say({ answer: await station.call(order.call, order.params) });
  } catch (error) {
    say({ error: error.rpcErrorCode || error.code || error.message });
  }
}).on("close", () => process.exit(0));
