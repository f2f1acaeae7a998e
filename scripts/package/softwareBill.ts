import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { packageFields, packageFolders } from './thirdPartyNotices';
import { parsed } from './packageUnderCheck';
import { partText } from './vsix';
import type { Parts } from './vsix';

/** The list of the packages whose code is in the extension, in the package. */
export const sbomFile = 'sbom.cdx.json';

/** Licences that allow to ship the code in an extension with the licence MIT, if their notices are shipped too. */
export const allowedLicences: readonly string[] = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'];

interface BillOptions {
  source: string;
  /** The input files of all bundles as esbuild's metafile names them. */
  inputs: readonly string[];
  version: string;
}

interface Component {
  type: 'library';
  'bom-ref': string;
  name: string;
  version: string;
  purl: string;
  licenses: readonly { expression: string }[];
  hashes?: readonly { alg: 'SHA-512'; content: string }[];
}

/**
 * A bill of materials in the format CycloneDX 1.6. It has no time and no serial number, so that the same source gives the
 * same bytes. The hashes are those of the archives in the npm registry, from the lockfile.
 */
export async function softwareBill({ source, inputs, version }: BillOptions): Promise<object> {
  const { packages } = JSON.parse(await readFile(path.join(source, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { integrity?: string }>;
  };
  const components = await Promise.all(
    packageFolders(inputs).map(async (folder) => component(source, folder, packages[lockfileKey(folder)]?.integrity)),
  );
  const unique = new Map(components.map((each) => [each['bom-ref'], each]));
  const name = 'helm-safe-deploy';
  const licenses = [{ expression: 'MIT' }];
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': `${name}@${version}`, name, version, licenses } },
    components: [...unique.values()],
  };
}

/** The folder as the lockfile names it, also where `node_modules` is a link to another place. */
function lockfileKey(folder: string): string {
  return folder.slice(folder.indexOf('node_modules/'));
}

async function component(source: string, folder: string, integrity: string | undefined): Promise<Component> {
  const { name, version, license } = await packageFields(path.join(source, folder));
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const sum = /^sha512-(\S+)/.exec(integrity ?? '')?.[1];
  const content = Buffer.from(sum ?? '', 'base64').toString('hex');
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    licenses: license === undefined ? [] : [{ expression: license }],
    ...(sum === undefined ? {} : { hashes: [{ alg: 'SHA-512', content }] }),
  };
}

/** Problems of the bill in a package: it is missing, differs from the notices, or has a licence that is not allowed. */
export function billProblems(parts: Parts): string[] {
  const bill = parsed(partText(parts, sbomFile));
  if (bill === undefined) return [`${sbomFile} is missing or not JSON`];
  const components = (bill['components'] ?? []) as Component[];
  const listed = new Set(components.map(({ name, version }) => `${name} ${version}`));
  const noticed = new Set([...parts.keys()].flatMap((name) => noticedPackages(name, parts)));
  return [
    ...[...noticed].filter((each) => !listed.has(each)).map((each) => `${sbomFile}: ${each} is missing`),
    ...[...listed]
      .filter((each) => !noticed.has(each))
      .map((each) => `${sbomFile}: ${each} is in no ThirdPartyNotices.md`),
    ...components
      .filter(({ licenses }) => !isAllowed(licenses[0]?.expression ?? ''))
      .map(
        ({ name, licenses }) =>
          `${sbomFile}: the licence «${licenses[0]?.expression ?? ''}» of ${name} is not in the list`,
      ),
  ];
}

function noticedPackages(file: string, parts: Parts): string[] {
  if (!file.endsWith('/ThirdPartyNotices.md')) return [];
  const headings = [...(partText(parts, file) ?? '').matchAll(/^## (\S+ \d\S*) \(/gm)];
  return headings.map(([, heading = '']) => heading);
}

/** Of alternatives (`A OR B`), one has to be allowed. */
function isAllowed(expression: string): boolean {
  return expression
    .replace(/^\((.*)\)$/, '$1')
    .split(' OR ')
    .some((licence) => allowedLicences.includes(licence));
}
