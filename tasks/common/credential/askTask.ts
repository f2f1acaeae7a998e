import { connect } from 'node:net';
import { passVariable, type CredentialAnswer } from './messages';

/** client-go waits without a limit for a credential plug-in. */
const waitMs = 90_000;

/** A credential plug-in of client-go: prints what the running task answers, or the reason why there is nothing. */
export function askTask(environment: NodeJS.ProcessEnv): void {
  const [port = '', pass = ''] = (environment[passVariable] ?? '').split('.');
  if (pass === '') {
    fail(`this kubeconfig belongs to a step of helm-safe-deploy and works only for its Helm (no ${passVariable})`);
    return;
  }
  let text = '';
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  socket.setEncoding('utf8');
  socket.setTimeout(waitMs, () => socket.destroy(new Error('it does not answer')));
  socket.once('connect', () => socket.write(`${pass}\n`));
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  socket.once('error', (error) => {
    fail(`the step of helm-safe-deploy cannot be asked for a token: ${error.message}`);
  });
  socket.once('end', () => {
    const answer = parsed(text);
    if (answer !== undefined && 'credential' in answer) process.stdout.write(JSON.stringify(answer.credential));
    else fail(answer?.refusal ?? 'the step of helm-safe-deploy gave no token');
  });
}

function parsed(text: string): CredentialAnswer | undefined {
  try {
    return JSON.parse(text) as CredentialAnswer;
  } catch {
    return undefined;
  }
}

function fail(why: string): void {
  process.exitCode = 1;
  process.stderr.write(`${why}\n`);
}
