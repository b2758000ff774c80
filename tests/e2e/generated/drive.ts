// A recording's whole life through the client that openapi-typescript and openapi-fetch make of docs/openapi.yaml.
//
// Run in a folder with the generated `openapi.ts`, with the settings of test_generated_clients.py in DRIVE. It ends with
// an error at the first answer that is not as its type says, and otherwise prints the id of the recording.

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./openapi.ts";

type Schemas = components["schemas"];
type Refusal = Schemas["Problem"] | Schemas["GatewayMessage"];

interface Settings {
  api_url: string;
  /** The same API as a later version answers: a field more in every object, and another code. */
  later_url: string;
  token: string;
  /** A token that may only read. */
  reader: string;
}

const settings = JSON.parse(process.env["DRIVE"] ?? "{}") as Settings;
const ROOM = "room_1";

function client(baseUrl: string, token: string): Client<paths> {
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
}

/** What was answered with this status; anything else is an error. */
function answered<T>(answer: { data?: T; error?: unknown; response: Response }, status: number): T {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  assert.ok(answer.data !== undefined);
  return answer.data;
}

/** What was refused with this status. */
function refused<E>(answer: { error?: E; response: Response }, status: number): NonNullable<E> {
  assert.equal(answer.response.status, status);
  assert.ok(answer.error);
  return answer.error;
}

/** The code of a problem; a message of the gateway has none. */
function codeOf(refusal: Refusal): string | undefined {
  return "code" in refusal ? refusal.code : undefined;
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 120_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(Date.now() < end, "it did not come in two minutes");
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Every status has its words: a new one in the document would not compile here. */
function words(status: Schemas["Status"]): string {
  switch (status) {
    case "recording":
      return "being recorded";
    case "processing":
      return "being processed";
    case "ready":
      return "ready";
    case "archived":
      return "in cold storage";
    case "failed":
      return "failed";
  }
}

async function get(api: Client<paths>, id: string): Promise<Schemas["Recording"]> {
  return answered(await api.GET("/api/v1/recordings/{id}", { params: { path: { id } } }), 200).data;
}

/** Before there is a file: a room, a start, and what it blocks. */
async function started(api: Client<paths>): Promise<string> {
  const path = { id: ROOM };
  const put = await api.PUT("/api/v1/rooms/{id}", { params: { path }, body: { name: "CS101" } });
  assert.equal(answered(put, 201).data.name, "CS101");
  // @ts-expect-error A misspelt key does not compile, and the API refuses it.
  const misspelt = await api.PUT("/api/v1/rooms/{id}", { params: { path }, body: { nmae: "CS101" } });
  assert.equal(misspelt.response.status, 400);

  const header = { "Idempotency-Key": "start-1" };
  const start = await api.POST("/api/v1/rooms/{id}/recordings/start", { params: { path, header } });
  const recording = answered(start, 201).data;
  assert.equal(recording.status satisfies "recording", "recording");
  assert.equal(start.response.headers.get("Location"), `/api/v1/recordings/${recording.id}`);
  assert.ok(start.response.headers.get("X-Request-Id"));

  const again = await api.POST("/api/v1/rooms/{id}/recordings/start", { params: { path } });
  const conflict = refused(again, 409);
  assert.ok("recording" in conflict);
  assert.equal(conflict.code, "room_already_recording");
  assert.equal(conflict.recording?.id, recording.id);
  assert.equal(conflict.recording?.origin, "api");

  const early = await api.GET("/api/v1/recordings/{id}/download", { params: { path: { id: recording.id } } });
  const waiting = answered(early, 202);
  assert.ok("message" in waiting);
  assert.equal(waiting.status, "processing");
  assert.ok(Number(early.response.headers.get("Retry-After")) > 0);
  return recording.id;
}

/** What the API refuses, each with the schema of its own. */
async function refusals(api: Client<paths>, reader: Client<paths>): Promise<void> {
  const bad = refused(await api.GET("/api/v1/recordings", { params: { query: { limit: 1000 } } }), 400);
  assert.ok("errors" in bad);
  assert.deepEqual(bad.errors.map((one) => one.field), ["limit"]);
  const unknown = { params: { path: { id: "rec_unknown" } } };
  assert.equal(codeOf(refused(await api.GET("/api/v1/recordings/{id}", unknown), 404)), "recording_not_found");
  const forbidden = refused(await reader.DELETE("/api/v1/recordings/{id}", unknown), 403);
  assert.deepEqual(forbidden, { message: "Forbidden" });
  const nobody = refused(await client(settings.api_url, "nobody").GET("/api/v1/rooms"), 401);
  assert.ok("message" in nobody);
}

/** From a file in R2 to one in cold storage, and out of all lists and back. */
async function life(api: Client<paths>, id: string): Promise<void> {
  const path = { id };
  const stop = await api.POST("/api/v1/rooms/{id}/recordings/stop", { params: { path: { id: ROOM } } });
  assert.equal(answered(stop, 200).data.id, id);
  const ready = await until(async () => {
    const found = await get(api, id);
    assert.notEqual(found.status, "failed", found.failure?.message);
    return found.status === "ready" ? found : undefined;
  });
  assert.deepEqual(ready.history.map((change) => words(change.status)), ["being recorded", "being processed", "ready"]);

  const query = { status: ["ready" as const, "failed" as const], room_id: ROOM, limit: 5, created_after: "2026-01-01T00:00:00Z" };
  const page = answered(await api.GET("/api/v1/recordings", { params: { query } }), 200);
  assert.deepEqual([page.meta.total, page.meta.next_cursor, page.data[0]?.id], [1, null, id]);

  const file = answered(await api.GET("/api/v1/recordings/{id}/download", { params: { path, query: { expires_in: 600 } } }), 200);
  assert.ok("download_url" in file);
  const bytes = await (await fetch(file.download_url)).arrayBuffer();
  assert.equal(bytes.byteLength, file.file_size);

  const archived = answered(await api.POST("/api/v1/recordings/{id}/archive", { params: { path } }), 200);
  assert.equal(archived.data.status satisfies "archived", "archived");
  await until(async () => ((await get(api, id)).archive?.state === "stored" ? true : undefined));
  const cold = answered(await api.GET("/api/v1/recordings/{id}/download", { params: { path } }), 202);
  assert.equal(cold.status, "archived");
  const body = { days: 1, tier: "bulk" as const };
  const restore = answered(await api.POST("/api/v1/recordings/{id}/restore", { params: { path }, body }), 202);
  assert.ok(restore.data.archive.expected_at);

  assert.equal(answered(await api.DELETE("/api/v1/recordings/{id}", { params: { path } }), 200).data.deleted, true);
  assert.equal(codeOf(refused(await api.GET("/api/v1/recordings/{id}", { params: { path } }), 404)), "recording_not_found");
  assert.equal(answered(await api.POST("/api/v1/recordings/{id}/undelete", { params: { path } }), 200).data.status, "archived");
}

/** The same client and a later version of the API. */
async function later(api: Client<paths>, id: string): Promise<void> {
  const recording = await get(api, id);
  assert.ok("new_field" in recording && "new_field" in recording.room);
  assert.equal(words(recording.status), "in cold storage");
  const page = answered(await api.GET("/api/v1/recordings"), 200);
  assert.equal(page.data[0]?.id, id);
  const problem = refused(await api.GET("/api/v1/recordings/{id}", { params: { path: { id: "rec_unknown" } } }), 404);
  assert.equal(codeOf(problem), "a_code_to_come");
}

const api = client(settings.api_url, settings.token);
const id = await started(api);
await refusals(api, client(settings.api_url, settings.reader));
await life(api, id);
await later(client(settings.later_url, settings.token), id);
console.log(id);
