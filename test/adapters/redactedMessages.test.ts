import assert from 'node:assert/strict';
import { redactedRefusal, withRedactedMessages } from '../../tasks/common/adapters/kubernetes/redactedMessages';
import { redactor } from '../../tasks/common/core/text/secrets';

const secret = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl';
const redact = redactor([secret, 'Running', 'web']);

describe('redaction of texts from the API server', () => {
  it('the last output of a container, cut from the front by the kubelet, contains no part of a secret', () => {
    const terminated = { exitCode: 1, reason: 'Error', message: `${secret.slice(20)}\nno database\n` };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web-1' },
      spec: { containers: [{ name: 'web', image: 'web:1' }] },
      status: { phase: 'Running', containerStatuses: [{ name: 'web', lastState: { terminated } }] },
    };
    const read = withRedactedMessages(pod, redact) as unknown as typeof pod;
    assert.equal(read.status.containerStatuses[0]?.lastState.terminated.message, '***\nno database\n');
    // Fields on which a verdict depends stay unchanged.
    assert.equal(read.status.phase, 'Running');
    assert.deepEqual([read.metadata, read.spec], [pod.metadata, pod.spec]);
  });

  it('an event contains no secret and still refers to its object', () => {
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'web-1.1' },
      involvedObject: { kind: 'Pod', name: 'web-1' },
      message: `Readiness probe failed: ${secret.slice(0, 30)}`,
    };
    assert.deepEqual(withRedactedMessages(event, redact), { ...event, message: 'Readiness probe failed: ***' });
  });

  it('a refusal is redacted before it is cut, whether it is a Status or a page', () => {
    const status = { kind: 'Status', reason: 'Invalid', message: `Invalid value: ${secret}`, details: { name: 'web' } };
    assert.deepEqual(JSON.parse(redactedRefusal(Buffer.from(JSON.stringify(status)), redact).toString()), {
      ...status,
      message: 'Invalid value: ***',
    });
    assert.equal(redactedRefusal(Buffer.from(`<p>${secret}</p>`), redact).toString(), '<p>***</p>');
  });
});
