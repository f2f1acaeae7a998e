import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { helmPrograms } from '../../scripts/cluster/pins';
import { providePrograms } from '../../scripts/cluster/programs';
import { privateFolder, type PrivateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import { takeTaskEnvironment } from '../../tasks/common/adapters/agent/taskEnvironment';
import { prepareChartLogins } from '../../tasks/common/adapters/helm/chartLogins';
import { TaskError } from '../../tasks/common/core/failure';
import { helmFailureReason } from '../../tasks/common/core/helm/helmFailure';
import { azureRegistryHost, type ChartLogins } from '../../tasks/common/core/inputs/chartLogins';
import {
  login,
  openChartRepository,
  openOciRegistry,
  type ChartRepository,
  type OciRegistry,
} from '../support/chartSources';

const run = promisify(execFile);
const chart = path.join(import.meta.dirname, '..', 'e2e', 'charts', 'objects');

describe('the logins of chart sources', function () {
  this.timeout(600_000);
  let helms: string[] = [];
  let host = '';
  let registryAuthority = '';
  let repository: ChartRepository;
  let registry: OciRegistry | undefined;
  let folder = '';
  let home: PrivateFolder;
  let secrets: string[] = [];

  before(async () => {
    const ends = [helmPrograms[0], helmPrograms.at(-1)].flatMap((program) => program ?? []);
    helms = await providePrograms(ends, console.error, new AbortController().signal);
    const [helm = ''] = helms;
    repository = await openChartRepository(helm, [chart]);
    registry = await openOciRegistry(helm, [chart]);
    ({ host, authority: registryAuthority } = registry);
  });
  after(async () => {
    repository.close();
    await registry?.close();
  });
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'logins-'));
    mkdirSync(path.join(folder, 'temp'));
    home = privateFolder(path.join(folder, 'temp'), () => undefined);
    secrets = [];
    repository.fail(undefined);
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const generic = (change: Record<string, string> = {}): Record<string, string> => ({
    ENDPOINT_URL_repo: `${repository.address}/`,
    ENDPOINT_AUTH_PARAMETER_repo_USERNAME: login.username,
    ENDPOINT_AUTH_PARAMETER_repo_PASSWORD: login.password,
    ...change,
  });
  const docker = (change: Record<string, string> = {}): Record<string, string> => ({
    ENDPOINT_URL_reg: `https://${host}/`,
    ENDPOINT_AUTH_PARAMETER_reg_REGISTRY: `https://${host}/`,
    ENDPOINT_AUTH_PARAMETER_reg_USERNAME: login.username,
    ENDPOINT_AUTH_PARAMETER_reg_PASSWORD: login.password,
    ...change,
  });

  /** The variables of the job, with a home of its own and the authority of one server. */
  function environmentFor(connection: Record<string, string>, authority: string, more: NodeJS.ProcessEnv = {}) {
    return takeTaskEnvironment({
      PATH: process.env['PATH'],
      HOME: folder,
      SSL_CERT_FILE: authority,
      ...connection,
      ...more,
    });
  }

  async function showing(
    helm: string,
    reference: string,
    logins: ChartLogins,
    environment: ReturnType<typeof environmentFor>,
  ): Promise<string> {
    const variables = await prepareChartLogins(logins, {
      environment,
      folder: home,
      signal: new AbortController().signal,
      onSecret: (secret) => secrets.push(secret),
    });
    const env = { ...environment.childEnvironment, ...variables };
    const { stdout } = await run(helm, ['show', 'chart', reference], { env, cwd: folder });
    return stdout;
  }

  for (const which of ['oldest', 'newest'] as const) {
    const helmOf = (): string => helms[which === 'oldest' ? 0 : 1] ?? '';

    it(`the ${which} Helm gets a chart from a repository with a login`, async () => {
      const environment = environmentFor(generic(), repository.authority);
      const shown = await showing(helmOf(), 'helm-safe-deploy/objects', { repository: 'repo' }, environment);
      assert.match(shown, /^name: objects$/m);
      assert.deepEqual(secrets, [login.password]);
      assert.ok(!existsSync(path.join(folder, '.config')), 'The login is in the home of the agent.');
    });

    it(`the ${which} Helm gets a chart from a registry with a login`, async () => {
      const environment = environmentFor(docker(), registryAuthority);
      const shown = await showing(helmOf(), `oci://${host}/charts/objects`, { registry: 'reg' }, environment);
      assert.match(shown, /^name: objects$/m);
      assert.deepEqual(secrets, [login.password]);
    });

    const refusals: [
      title: string,
      connection: () => Record<string, string>,
      reference: () => string,
      reason: string,
    ][] = [
      ['no login', () => ({}), () => `oci://${host}/charts/objects`, 'ChartAccessDenied'],
      [
        'a wrong password',
        () => docker({ ENDPOINT_AUTH_PARAMETER_reg_PASSWORD: 'wrong' }),
        () => `oci://${host}/charts/objects`,
        'ChartAccessDenied',
      ],
      ['an unknown chart', docker, () => `oci://${host}/charts/unknown`, 'ChartNotFound'],
    ];
    for (const [title, connection, reference, reason] of refusals) {
      it(`what the ${which} Helm says of a registry is ${reason}: ${title}`, async () => {
        const given = connection();
        const logins = Object.keys(given).length === 0 ? {} : { registry: 'reg' };
        await assert.rejects(
          showing(helmOf(), reference(), logins, environmentFor(given, registryAuthority)),
          (error: { stderr: string }) => {
            assert.equal(helmFailureReason(error.stderr), reason, error.stderr);
            return true;
          },
        );
      });
    }

    it(`the ${which} Helm does not know the authority of a registry`, async () => {
      const environment = environmentFor(docker(), '/dev/null');
      const reference = `oci://${host}/charts/objects`;
      await assert.rejects(
        showing(helmOf(), reference, { registry: 'reg' }, environment),
        (error: { stderr: string }) => {
          assert.equal(helmFailureReason(error.stderr), 'ChartSourceUnreachable', error.stderr);
          return true;
        },
      );
    });

    it(`the ${which} Helm still finds repositories and logins of earlier steps`, async () => {
      const [helm, env] = [helmOf(), { PATH: process.env['PATH'], HOME: folder, SSL_CERT_FILE: repository.authority }];
      const words = ['repo', 'add', 'earlier', repository.address, '--username', login.username];
      await run(helm, [...words, '--password', login.password], { env });
      const environment = environmentFor(generic(), repository.authority);
      const shown = await showing(helm, 'earlier/objects', { repository: 'repo' }, environment);
      assert.match(shown, /^name: objects$/m);
      mkdirSync(path.join(folder, 'registry'), { recursive: true });
      const auths = {
        [host]: { auth: Buffer.from(`${login.username}:${login.password}`).toString('base64') },
      };
      const earlier = path.join(folder, 'registry', 'config.json');
      writeFileSync(earlier, JSON.stringify({ auths, credsStore: 'none-here' }));
      const other = docker({ ENDPOINT_AUTH_PARAMETER_reg_REGISTRY: 'https://registry.example.org' });
      const both = environmentFor(other, registryAuthority, { HELM_REGISTRY_CONFIG: earlier });
      const fromRegistry = `oci://${host}/charts/objects`;
      assert.match(await showing(helm, fromRegistry, { registry: 'reg' }, both), /^name: objects$/m);
    });
  }

  it('the login of the connection to Azure is used, unless an earlier step has logged in there', async () => {
    const variables = (earlier: string) => {
      const signIn = () => Promise.resolve({ server: 'shop.azurecr.io', username: 'me', password: 'exchanged' });
      const file = path.join(folder, 'earlier.json');
      writeFileSync(file, JSON.stringify({ auths: { [earlier]: { auth: 'eDp5' } } }));
      const options = {
        environment: environmentFor({}, '/dev/null', { HELM_REGISTRY_CONFIG: file }),
        folder: home,
        signal: new AbortController().signal,
        onSecret: (secret: string) => secrets.push(secret),
        azureRegistry: { host: 'shop.azurecr.io', signIn },
      };
      return prepareChartLogins({}, options);
    };
    assert.deepEqual(await variables('shop.azurecr.io'), {});
    const { HELM_REGISTRY_CONFIG: config = '' } = await variables('other.azurecr.io');
    const { auths } = JSON.parse(readFileSync(config, 'utf8')) as { auths: object };
    assert.deepEqual(Object.keys(auths), ['other.azurecr.io', 'shop.azurecr.io']);
    assert.deepEqual(secrets, ['exchanged']);
    assert.equal(azureRegistryHost('oci://Shop.azurecr.io/charts/web'), 'shop.azurecr.io');
    assert.equal(azureRegistryHost('oci://azurecr.io.example.org/charts/web'), undefined);
    assert.equal(azureRegistryHost('oci://shop.azurecr.io.example.org/web'), undefined);
  });

  const faults: [
    title: string,
    status: number | undefined,
    change: Record<string, string>,
    reason: string,
    words: RegExp,
  ][] = [
    ['a wrong password', undefined, { ENDPOINT_AUTH_PARAMETER_repo_PASSWORD: 'wrong' }, 'ChartAccessDenied', /401: the user or the password is wrong/], // prettier-ignore
    ['no right', 403, {}, 'ChartAccessDenied', /403: this user may not read/],
    ['a wrong address', 404, {}, 'ChartNotFound', /404: there is no chart repository at this address/],
    ['too many requests', 429, {}, 'ChartSourceUnreachable', /429: too many requests/],
    [
      'no password',
      undefined,
      { ENDPOINT_AUTH_PARAMETER_repo_PASSWORD: '' },
      'ConnectionInvalid',
      /no user and password/,
    ],
    [
      'http',
      undefined,
      { ENDPOINT_URL_repo: 'http://charts.example.org' },
      'ConnectionInvalid',
      /not sent without encryption/,
    ],
  ];
  for (const [title, status, change, reason, words] of faults) {
    it(`the answers of a repository are told apart: ${title}`, async () => {
      repository.fail(status);
      const environment = environmentFor(generic(change), repository.authority);
      await assert.rejects(showing('false', 'x', { repository: 'repo' }, environment), (error) => {
        assert.ok(error instanceof TaskError, String(error));
        assert.equal(error.reason, reason);
        assert.match(error.message, /^Input chartRepositoryConnection: /);
        assert.match(error.message, words);
        assert.ok(!error.message.includes(login.password));
        return true;
      });
    });
  }

  it('a repository with an unknown authority, and a connection that was not handed over, are told apart', async () => {
    const untrusted = environmentFor(generic(), '/dev/null');
    await assert.rejects(showing('false', 'x', { repository: 'repo' }, untrusted), {
      reason: 'ChartSourceUnreachable',
      message: /certificate is not trusted/,
    });
    await assert.rejects(showing('false', 'x', { registry: 'gone' }, untrusted), { reason: 'ConnectionMissing' });
  });
});
