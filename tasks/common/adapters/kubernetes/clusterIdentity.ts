import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { asTaskError } from '../../core/failure';
import { passVariable, type CredentialAnswer } from '../../credential/messages';
import { renewalTime, type AskToken } from './credentials';

/** An identity of which only this process has tokens. Helm asks this process for them, as often as it needs. */
export interface ClusterIdentity {
  askToken: AskToken;
  /** The field `exec` of a user in a kubeconfig. It holds no secret. */
  exec: Readonly<Record<string, unknown>>;
  /** Makes a pass for one run of Helm. It is worth nothing after `end`. */
  lend(): HelmPass;
  /** May be called several times. */
  close(): void;
}

export interface HelmPass {
  /** For the environment of Helm, whose plug-ins and post-renderers inherit it. */
  environment: Readonly<Record<string, string>>;
  end(): void;
}

interface IdentityOptions {
  askToken: AskToken;
  /** Called as soon as a pass is made. */
  onSecret: (secret: string) => void;
  /** The default is the file beside the program that the agent has started. */
  program?: string;
}

const apiVersion = 'client.authentication.k8s.io/v1';
const passBytes = 32;
/** Short, so that a Helm that outlives the task need not ask again in its last seconds. */
const helmRenewsBeforeMs = 60_000;
/** A client presents its pass at once. Any process on this machine may connect. */
const presentWithinMs = 5_000;

/** Listens on a free port of 127.0.0.1. */
export async function openClusterIdentity({ askToken, onSecret, program }: IdentityOptions): Promise<ClusterIdentity> {
  const passes = new Set<string>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void serve(socket, passes, askToken);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A task that forgets to close it must still end.
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    askToken,
    exec: {
      apiVersion,
      command: process.execPath,
      args: [program ?? path.join(path.dirname(process.argv[1] ?? ''), 'credential.js')],
      // Such options may print something, or load what the plug-in does not need.
      env: [{ name: 'NODE_OPTIONS', value: '' }],
      interactiveMode: 'Never',
      provideClusterInfo: false,
    },
    lend: () => {
      const pass = randomBytes(passBytes).toString('hex');
      onSecret(pass);
      passes.add(pass);
      return {
        environment: { [passVariable]: `${port}.${pass}` },
        end: () => {
          passes.delete(pass);
        },
      };
    },
    close: () => {
      passes.clear();
      server.close();
    },
  };
}

async function serve(socket: Socket, passes: ReadonlySet<string>, askToken: AskToken): Promise<void> {
  socket.on('error', () => undefined);
  const pass = await firstLine(socket);
  if (pass === undefined || !isKnown(pass, passes)) {
    socket.destroy();
    return;
  }
  const answer = await credentialAnswer(askToken);
  // The run of Helm may have ended while the token was asked for.
  if (isKnown(pass, passes)) socket.end(JSON.stringify(answer));
  else socket.destroy();
}

/** Undefined if the client sends something longer, nothing, or goes. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(presentWithinMs, () => socket.destroy());
    socket.once('close', () => {
      resolve(undefined);
    });
    socket.on('data', (chunk: string) => {
      text = (text + chunk).slice(0, passBytes * 2 + 1);
      if (text.length <= passBytes * 2) return;
      socket.setTimeout(0);
      resolve(text.endsWith('\n') ? text.slice(0, -1) : undefined);
    });
  });
}

function isKnown(pass: string, passes: ReadonlySet<string>): boolean {
  const given = Buffer.from(pass);
  return [...passes].some((each) => given.length === each.length && timingSafeEqual(given, Buffer.from(each)));
}

async function credentialAnswer(askToken: AskToken): Promise<CredentialAnswer> {
  try {
    const given = await askToken();
    const expirationTimestamp = new Date(renewalTime(given, helmRenewsBeforeMs, Date.now())).toISOString();
    const status = { token: given.token, expirationTimestamp };
    return { credential: { apiVersion, kind: 'ExecCredential', status } };
  } catch (error) {
    return { refusal: asTaskError(error).message };
  }
}
