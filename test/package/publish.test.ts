import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { repository } from '../../scripts/build';
import { checkContext, checkPackage, packageExtension } from '../../scripts/package';
import { readVsix } from '../../scripts/package/vsix';
import { publicationProblems } from '../../scripts/publish/problems';
import { upload } from '../../scripts/publish/upload';
import { openHttpsSite } from '../support/httpsSite';
import type { HttpsSite } from '../support/httpsSite';

const token = 'abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst';

const route = {
  area: 'gallery',
  resourceName: 'extensions',
  resourceVersion: 1,
  minVersion: '1.0',
  maxVersion: '7.2',
  releasedVersion: '7.2',
};
/** What the Marketplace says of its addresses. */
const routes = [
  { ...route, id: 'a41192c8-9525-4b58-bc86-179fa549d80d', routeTemplate: '_apis/gallery/extensions' },
  {
    ...route,
    id: 'e11ea35a-16fe-4b80-ab11-c4cab88a0966',
    routeTemplate: '_apis/gallery/publishers/{publisherName}/extensions/{extensionName}',
  },
];

interface Marketplace {
  site: HttpsSite;
  uploaded: Buffer[];
  authorizations: (string | undefined)[];
}

async function openMarketplace(refusal?: string): Promise<Marketplace> {
  const uploaded: Buffer[] = [];
  const authorizations: (string | undefined)[] = [];
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    authorizations.push(request.headers.authorization);
    const body = await buffer(request);
    const reply = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    if (request.method === 'OPTIONS') reply(200, { count: routes.length, value: routes });
    else if (request.method !== 'POST') reply(404, { message: 'There is no such extension.' });
    else if (refusal !== undefined) reply(401, { message: `${refusal} ${String(request.headers.authorization)}` });
    else {
      const { extensionManifest } = JSON.parse(body.toString()) as { extensionManifest: string };
      uploaded.push(Buffer.from(extensionManifest, 'base64'));
      reply(200, { extensionName: 'helm-safe-deploy', versions: [] });
    }
  };
  const site = await openHttpsSite((request, response) => void answer(request, response));
  return { site, uploaded, authorizations };
}

describe('publishing with tfx', () => {
  let folder: string;
  let vsix: string;
  const authority = process.env['NODE_EXTRA_CA_CERTS'];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-test-'));
    vsix = path.join(folder, 'extension.vsix');
    await writeFile(vsix, await packageExtension(repository, 'development'));
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => {
    if (authority === undefined) delete process.env['NODE_EXTRA_CA_CERTS'];
    else process.env['NODE_EXTRA_CA_CERTS'] = authority;
  });

  async function publishTo({ site }: Marketplace): Promise<string> {
    process.env['NODE_EXTRA_CA_CERTS'] = site.authority;
    try {
      return await upload({ vsix, token, serviceUrl: site.address });
    } finally {
      site.close();
    }
  }

  it('sends the bytes of the package with the token, and says nothing of the token', async () => {
    const marketplace = await openMarketplace();
    const said = await publishTo(marketplace);
    assert.deepEqual(marketplace.uploaded, [await readFile(vsix)]);
    assert.ok(marketplace.authorizations.every((header) => decoded(header).endsWith(`:${token}`)));
    assert.doesNotMatch(said, new RegExp(token));
    assert.match(said, /Publishing: success/);
  });

  it('fails when the Marketplace refuses, and does not show the token that the answer quotes', async () => {
    const marketplace = await openMarketplace(`No rights for ${token}`);
    await assert.rejects(publishTo(marketplace), (error: Error) => {
      assert.match(error.message, /failed with exit code/);
      const coded = marketplace.authorizations.map((header) => header?.split(' ')[1] ?? token);
      for (const secret of [token, ...coded]) assert.ok(!error.message.includes(secret), error.message);
      return true;
    });
  });
});

function decoded(header: string | undefined): string {
  return Buffer.from(header?.split(' ')[1] ?? '', 'base64').toString();
}

describe('the development flavour', () => {
  it('passes the check of the package, and shares no id and no name with production', async () => {
    const [production, development] = await Promise.all([
      packageExtension(repository, 'production'),
      packageExtension(repository, 'development'),
    ]);
    assert.deepEqual((await checkPackage(development, await checkContext(repository, 'development'))).problems, []);
    const [names, otherNames] = [identities(production), identities(development)];
    assert.equal(names.length, otherNames.length);
    assert.deepEqual(
      names.filter((each) => otherNames.includes(each)),
      [],
    );
  });
});

/** The id of the extension, and the ids and names of its tasks. */
function identities(vsix: Uint8Array): string[] {
  const parts = readVsix(vsix);
  const textOf = (name: string): string => new TextDecoder().decode(parts.get(name));
  const tasks = [...parts.keys()].filter((name) => name.endsWith('/task.json'));
  return [
    / Id="([^"]*)"/.exec(textOf('extension.vsixmanifest'))?.[1] ?? '',
    ...tasks.flatMap((name) => {
      const { id, name: task } = JSON.parse(textOf(name)) as { id: string; name: string };
      return [id, task];
    }),
  ];
}

describe('a package for everybody', () => {
  const ready = {
    version: '1.2.0',
    repository: 'https://example.com/helm-safe-deploy',
    changelog: '# Changelog\n\n## 1.2.0 (2026-11-30)\n\n- A change.\n',
    unfrozen: [],
    tags: ['v1.1.9', 'v1.2.0'],
    tagsHere: ['v1.2.0'],
    hasChanges: false,
  };

  const rows: [string, object, RegExp | undefined][] = [
    ['that is ready', {}, undefined],
    ['without a public address of its source', { repository: undefined }, /repository of package\.json is missing/],
    ['without a date in the changelog', { changelog: '## 1.2.0\n' }, /no heading «## 1\.2\.0 \(YYYY-MM-DD\)»/],
    ['with the date of another version', { changelog: '## 1.2.01 (2026-11-30)' }, /no heading/],
    ['with an input that is not frozen', { unfrozen: ['Task@1: input a'] }, /npm run freeze.*Task@1: input a/],
    ['with a lower version than a tag', { tags: ['v1.10.0'] }, /lower than the tag v1\.10\.0/],
    ['of a commit without the tag', { tagsHere: ['v1.1.9'] }, /has no tag v1\.2\.0/],
    ['with changes that are not committed', { hasChanges: true }, /not committed/],
  ];

  for (const [title, change, expected] of rows) {
    it(`${title} is ${expected === undefined ? 'published' : 'refused'}`, () => {
      const problems = publicationProblems({ ...ready, ...change });
      if (expected === undefined) assert.deepEqual(problems, []);
      else assert.ok(problems.length === 1 && expected.test(problems[0] ?? ''), problems.join('\n'));
    });
  }
});
