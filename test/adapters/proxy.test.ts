import assert from 'node:assert/strict';
import { proxyFor } from '../../tasks/common/adapters/kubernetes/proxy';

const proxy = 'http://proxy.corp:3128';

/** Server, NO_PROXY and the expected use of the proxy, by the rules of golang.org/x/net/http/httpproxy. */
const cases: [string, string, boolean][] = [
  ['https://api.example.com', '', true],
  ['https://api.example.com', 'example.com', false],
  ['https://api.example.com', '.example.com', false],
  ['https://api.example.com', '*.example.com', false],
  ['https://example.com', '.example.com', true],
  ['https://example.com', 'example.com', false],
  ['https://notexample.com', 'example.com', true],
  ['https://api.example.com', 'other.com, EXAMPLE.com ', false],
  ['https://api.example.com:6443', 'example.com:6443', false],
  ['https://api.example.com:6443', 'example.com:443', true],
  ['https://api.example.com', 'example.com:443', false],
  ['https://api.example.com', '*', false],
  ['https://10.1.2.3:6443', '10.0.0.0/8', false],
  ['https://11.1.2.3:6443', '10.0.0.0/8', true],
  ['https://10.1.2.3:6443', '10.1.2.3', false],
  ['https://10.1.2.3:6443', '10.1.2.3:443', true],
  ['https://10.1.2.3', '10.0.0.0/99,rubbish/8', true],
  ['https://[fd00::1]:6443', 'fd00::/8', false],
  ['https://[fd00::1]:6443', 'fd00::1', false],
  ['https://[fd00::1]:6443', '10.0.0.0/8', true],
  ['https://localhost:6443', '', false],
  ['https://127.0.0.1:6443', '', false],
  ['https://[::1]:6443', '', false],
];

describe('the proxy for an API server', () => {
  for (const [server, exceptions, isUsed] of cases) {
    it(`${server} with NO_PROXY="${exceptions}": ${isUsed ? 'proxy' : 'direct'}`, () => {
      const environment = { HTTPS_PROXY: proxy, NO_PROXY: exceptions };
      const found = proxyFor(new URL(server), { environment, proxyUrl: undefined });
      assert.equal(found?.origin, isUsed ? proxy : undefined);
    });
  }

  it('the proxy of the kubeconfig wins over the environment, and NO_PROXY does not apply to it', () => {
    const environment = { HTTPS_PROXY: proxy, NO_PROXY: '*' };
    const found = proxyFor(new URL('https://127.0.0.1:1'), { environment, proxyUrl: 'http://other:1' });
    assert.equal(found?.origin, 'http://other:1');
  });

  it('an unreadable proxy in the kubeconfig is refused and not bypassed', () => {
    const environment = { HTTPS_PROXY: proxy };
    const find = (): unknown => proxyFor(new URL('https://api'), { environment, proxyUrl: 'http://me:pa/ss@proxy' });
    assert.throws(
      find,
      (error: Error) => /proxy-url .* is not an address/.test(error.message) && !error.message.includes('pa/ss'),
    );
  });

  it('each scheme has its own variable, in either case, and an address may omit its scheme', () => {
    const environment = { https_proxy: 'proxy.corp:3128', HTTP_PROXY: 'http://plain:1' };
    assert.equal(proxyFor(new URL('https://a'), { environment, proxyUrl: undefined })?.origin, proxy);
    assert.equal(proxyFor(new URL('http://a'), { environment, proxyUrl: undefined })?.origin, 'http://plain:1');
    assert.equal(proxyFor(new URL('http://a'), { environment: {}, proxyUrl: undefined }), undefined);
  });
});
