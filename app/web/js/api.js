/** Talking to the service: one call, its timing, and errors as the service gave them. */

import { recall, remember } from "./storage.js";

let apiKey = recall("api-key", "session");

/** The key sent with every request, or null. Kept in this tab only. */
export function getApiKey() {
  return apiKey;
}

/** Use `key` from now on; an empty one forgets it. */
export function setApiKey(key) {
  apiKey = key || null;
  remember("api-key", apiKey, "session");
}

/** Address of an endpoint, relative to the page, so that the page works behind any path prefix. */
export function endpointUrl(path) {
  return new URL(path, document.baseURI).href;
}

/** A refusal by the service (`status` > 0) or no answer at all (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 when the service could not be reached.
   * @param {object} problem RFC 9457 members, or what could be made of another answer.
   * @param {{requestId?: string|null, retryAfter?: string|null}} headers
   */
  constructor(status, problem, { requestId = null, retryAfter = null } = {}) {
    super(problem.detail || problem.title || problem.error || `HTTP ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.problem = problem;
    this.requestId = problem.request_id ?? requestId;
    this.retryAfter = retryAfter;
  }
}

/**
 * POST `body` as JSON.
 *
 * @returns {Promise<{answer: object, version: string|null,
 *   timing: {roundTrip: number, stages: {name: string, duration: number}[]}}>} durations in milliseconds; `version` is
 *   the model that answered as `name/version`.
 * @throws {ApiError} the service refused or could not be reached.
 * @throws {DOMException} AbortError when `signal` was used.
 */
export function post(path, body, signal) {
  return request(path, { method: "POST", body: JSON.stringify(body), signal });
}

/** GET JSON; returns and throws as `post`. */
export function get(path, signal) {
  return request(path, { method: "GET", signal });
}

async function request(path, options) {
  const headers = { Accept: "application/json" };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
  const started = performance.now();
  let response;
  let text;
  try {
    response = await fetch(endpointUrl(path), { ...options, headers });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { title: "", detail: error.message });
  }
  const roundTrip = performance.now() - started;
  const answer = parseJson(text);
  if (!response.ok || answer === undefined) throw refusal(response, answer, text);
  return {
    answer,
    version: response.headers.get("X-Model-Version"),
    timing: { roundTrip, stages: parseServerTiming(response.headers.get("Server-Timing")) },
  };
}

function refusal(response, answer, text) {
  const headers = {
    requestId: response.headers.get("X-Request-ID"),
    retryAfter: response.headers.get("Retry-After"),
  };
  const usable = answer !== null && typeof answer === "object" && !Array.isArray(answer);
  // A proxy in between may answer with a page of its own; its first lines are all there is to show.
  const problem = usable ? answer : { title: response.statusText, detail: text.slice(0, 500) };
  return new ApiError(response.status, problem, headers);
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `tokenize;dur=0.4, inference;dur=12` -> [{name, duration}], in milliseconds; parts without a duration are left out. */
export function parseServerTiming(header) {
  return (header ?? "").split(",").flatMap((part) => {
    const [name, ...parameters] = part.split(";").map((piece) => piece.trim());
    const duration = parameters.find((piece) => piece.toLowerCase().startsWith("dur="));
    const value = duration === undefined ? NaN : Number(duration.slice(4));
    return name && Number.isFinite(value) ? [{ name, duration: value }] : [];
  });
}
