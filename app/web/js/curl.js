/** The same request as a command line. */

import { endpointUrl, getApiKey } from "./api.js";

/** A string as one POSIX shell word. */
export function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A `curl` command for a POST. The API key itself is never written out, only the variable to put it in. */
export function curlCommand(path, body) {
  const lines = [`curl -sS ${shellQuote(endpointUrl(path))}`, `-H 'Content-Type: application/json'`];
  if (getApiKey()) lines.push(`-H "Authorization: Bearer $API_KEY"`);
  lines.push(`--data-raw ${shellQuote(JSON.stringify(body))}`);
  return lines.join(" \\\n  ");
}
