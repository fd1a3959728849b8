// A charge point on ocpp-rpc in strict mode: every message of either side that breaks its schema is an error here.
// Usage: node charge_point.js ENDPOINT IDENTITY ocpp1.6|ocpp2.0.1. Facts go to standard output as lines "@{json}".
"use strict";
const { RPCClient } = require("ocpp-rpc");

const [endpoint, identity, protocol] = process.argv.slice(2);
const old = protocol === "ocpp1.6";
const now = () => new Date().toISOString();
const fact = (what) => process.stdout.write("@" + JSON.stringify(what) + "\n");

const client = new RPCClient({
  endpoint,
  identity,
  protocols: [protocol],
  strictMode: true,
  callTimeoutMs: 10000,
  reconnect: false,
});

for (const name of ["strictValidationFailure", "badMessage", "protocolError"]) {
  client.on(name, (event) => fact({ fault: name, message: String((event.error || event).message || event) }));
}

client.handle(({ method, params }) => {
  fact({ asked: method, params });
  switch (method) {
    case "GetConfiguration":
      return {
        configurationKey: [
          { key: "ChargingScheduleAllowedChargingRateUnit", readonly: true, value: "Current" },
          { key: "ChargingScheduleMaxPeriods", readonly: true, value: "3" },
        ],
      };
    case "GetVariables":
      return {
        getVariableResult: params.getVariableData.map(({ component, variable }) =>
          variable.name === "PeriodsPerSchedule"
            ? { component, variable, attributeStatus: "Accepted", attributeValue: "3" }
            : { component, variable, attributeStatus: "UnknownVariable" },
        ),
      };
    case "SetVariables":
      return {
        setVariableResult: params.setVariableData.map(({ component, variable }) => ({
          component,
          variable,
          attributeStatus: "Accepted",
        })),
      };
    case "GetCompositeSchedule":
      return { status: "Rejected" };
    case "GetChargingProfiles":
      return { status: "NoProfiles" };
    case "ChangeConfiguration":
    case "SetChargingProfile":
    case "ClearChargingProfile":
    case "TriggerMessage":
    case "ChangeAvailability":
    case "RemoteStopTransaction":
    case "RequestStopTransaction":
      return { status: "Accepted" };
    default:
      throw new Error("not known to this peer: " + method);
  }
});

const sampled = (unit) => [{ value: old ? "6900" : 6900, measurand: "Power.Active.Import", ...unit }];

async function session16() {
  await client.call("BootNotification", { chargePointVendor: "ocpp-rpc", chargePointModel: "strict" });
  await client.call("StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Preparing" });
  const { idTagInfo } = await client.call("Authorize", { idTag: "TAG" });
  const { transactionId } = await client.call("StartTransaction", {
    connectorId: 1,
    idTag: "TAG",
    meterStart: 0,
    timestamp: now(),
  });
  await client.call("MeterValues", {
    connectorId: 1,
    transactionId,
    meterValue: [{ timestamp: now(), sampledValue: sampled({ unit: "W" }) }],
  });
  await client.call("Heartbeat", {});
  await client.call("DataTransfer", { vendorId: "ocpp-rpc" });
  fact({ charging: transactionId, authorised: idTagInfo.status });
}

async function session201() {
  const event = (eventType, triggerReason, seqNo, info) =>
    client.call("TransactionEvent", {
      eventType,
      timestamp: now(),
      triggerReason,
      seqNo,
      transactionInfo: { transactionId: "tx-1", ...info },
      evse: { id: 1, connectorId: 1 },
      meterValue: [{ timestamp: now(), sampledValue: sampled({ unitOfMeasure: { unit: "W" } }) }],
      ...(eventType === "Started" ? { idToken: { idToken: "TAG", type: "Central" } } : {}),
    });
  await client.call("BootNotification", {
    reason: "PowerUp",
    chargingStation: { vendorName: "ocpp-rpc", model: "strict" },
  });
  await client.call("StatusNotification", {
    timestamp: now(),
    connectorStatus: "Occupied",
    evseId: 1,
    connectorId: 1,
  });
  await client.call("Authorize", { idToken: { idToken: "TAG", type: "Central" } });
  const { idTokenInfo } = await event("Started", "Authorized", 0, { chargingState: "Charging" });
  await event("Updated", "MeterValuePeriodic", 1, { chargingState: "Charging" });
  await client.call("NotifyChargingLimit", { chargingLimit: { chargingLimitSource: "EMS" }, evseId: 1 });
  await client.call("Heartbeat", {});
  fact({ charging: "tx-1", authorised: idTokenInfo.status });
}

(async () => {
  await client.connect();
  await (old ? session16() : session201());
  try {
    await client.call("Reset", { type: old ? "Soft" : "Immediate" }); // which only the other side may ask for
  } catch (error) {
    fact({ wrongWay: error.rpcErrorCode || error.message });
  }
})().catch((error) => {
  fact({ failed: String(error.stack || error) });
  process.exitCode = 1;
});

process.on("SIGTERM", () => process.exit(0));
