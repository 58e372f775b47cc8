// Reads JSON lines [schema, message as text] and says, a line each, what the official types make of it: "" or the error.
// By its path, because the package's own entry point does not load in plain Node.
import { createInterface } from "node:readline";
import { Convert } from "./node_modules/@finos/fdc3-schema/dist/generated/bridging/BridgingTypes.js";

for await (const line of createInterface({ input: process.stdin })) {
  const [schema, message] = JSON.parse(line);
  let said = "";
  try {
    Convert[`to${schema}`](message);
  } catch (error) {
    said = String(error);
  }
  console.log(JSON.stringify(said));
}
