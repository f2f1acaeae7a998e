import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { guidOf, recordId, rowsId, rowsJson, timelineId, timelineJson, type RecordedStep } from './recordedRun';

/** The part of Azure DevOps that the tab asks: the attachments and the timeline of one run. */
export interface RunServer {
  /** The address of the organization, with a slash at its end. */
  readonly base: string;
  readonly projectId: string;
  readonly buildId: number;
  /** A test may change the steps at any time. */
  steps: readonly RecordedStep[];
  /** The paths of all requests but those that only ask for permission, oldest first. */
  readonly requests: string[];
  /** The greatest number of requests that were open at once. */
  mostAtOnce: number;
  /** The answer to the next requests, one each, before the usual answers. */
  readonly answers: ((response: ServerResponse) => void)[];
  /** Holds every answer back for so long. Unit: milliseconds. */
  delayMs: number;
  close(): Promise<void>;
}

const token = 'token-of-the-frame';

export async function startRunServer(steps: readonly RecordedStep[] = []): Promise<RunServer> {
  const answers: RunServer['answers'] = [];
  let open = 0;
  const server = http.createServer((request, response) => {
    allowOtherOrigins(request, response);
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    open += 1;
    made.mostAtOnce = Math.max(made.mostAtOnce, open);
    response.once('close', () => (open -= 1));
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://stand-in').pathname);
    made.requests.push(path);
    setTimeout(() => {
      const answer = answers.shift();
      if (answer !== undefined) answer(response);
      else if (request.headers.authorization !== `Bearer ${token}`) send(response, 401, { message: 'TF400813' });
      else usual(made, path, response);
    }, made.delayMs);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const made: RunServer = {
    base: `http://127.0.0.1:${port}/fabrikam/`,
    projectId: guidOf('project Fabrikam'),
    buildId: 42,
    steps,
    requests: [],
    mostAtOnce: 0,
    answers,
    delayMs: 0,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return made;
}

/** As Azure DevOps does: any origin, but only the headers that are asked for. */
function allowOtherOrigins(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*');
  response.setHeader('Access-Control-Allow-Headers', request.headers['access-control-request-headers'] ?? '');
  response.setHeader('Access-Control-Expose-Headers', 'Retry-After');
}

function usual(run: RunServer, path: string, response: ServerResponse): void {
  const build = `/fabrikam/${run.projectId}/_apis/build/builds/${run.buildId}/`;
  const [first = '', second = '', third = '', type = '', name = ''] = path.startsWith(build)
    ? path.slice(build.length).split('/')
    : [];
  if (first === 'timeline') {
    const records = second === '' ? timelineJson(run.steps) : rowsOf(run.steps, second);
    send(response, records === undefined ? 404 : 200, { records, id: second || timelineId, changeId: 99 });
  } else if (first === 'attachments') {
    const list = attachmentsJson(run, second);
    // Some servers answer 404, not an empty list, for a type that nobody has attached.
    send(response, list.length === 0 ? 404 : 200, list.length === 0 ? { message: 'Not found.' } : list);
  } else if (third === 'attachments') {
    const step = run.steps.find((_, index) => recordId(index) === second);
    const found = step?.attachments.find((each) => each.type === type && each.name === name);
    if (found === undefined) send(response, 404, { message: 'Not found.' });
    else response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(found.content);
  } else send(response, 404, { message: `The controller for path '${path}' was not found.` });
}

function rowsOf(steps: readonly RecordedStep[], id: string): object[] | undefined {
  const index = steps.findIndex((_, place) => rowsId(place) === id);
  const step = steps[index];
  return step === undefined ? undefined : rowsJson(step, index);
}

/** A bare list with addresses, as the server gives it to a client that asks for no wrapping. */
function attachmentsJson({ base, projectId, buildId, steps }: RunServer, type: string): object[] {
  return steps.flatMap((step, index) =>
    step.attachments
      .filter((attachment) => attachment.type === type)
      .map(({ name }) => {
        const path = `${timelineId}/${recordId(index)}/attachments/${type}/${encodeURIComponent(name)}`;
        return { _links: { self: { href: `${base}${projectId}/_apis/build/builds/${buildId}/${path}` } }, name };
      }),
  );
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8; api-version=6.0' });
  response.end(JSON.stringify(body));
}

export { token };
