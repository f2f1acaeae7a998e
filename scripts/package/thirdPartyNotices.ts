import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

interface NoticesOptions {
  source: string;
  /** The input files of a bundle as esbuild's metafile names them: relative to `source`, with slashes. */
  inputs: readonly string[];
  /** The legal comments that esbuild collected from the sources. */
  legalComments: string;
}

/** Name, version and licence of every package whose code is in a bundle, as Markdown. */
export async function thirdPartyNotices({ source, inputs, legalComments }: NoticesOptions): Promise<string> {
  const folders = packageFolders(inputs);
  const notices = await Promise.all(folders.map((folder) => packageNotice(path.join(source, folder))));
  const collected = legalComments.trim();
  return [
    '# Third-party notices',
    'This task contains code of the following packages.',
    ...notices,
    ...(collected === '' ? [] : ['## Notices in source files', fenced(collected)]),
    '',
  ].join('\n\n');
}

/** The folders of the packages whose code is in a bundle, relative to the source and sorted. */
export function packageFolders(inputs: readonly string[]): string[] {
  return [...new Set(inputs.flatMap((input) => packageFolder(input) ?? []))].sort();
}

export interface PackageFields {
  name: string;
  version: string;
  /** An SPDX expression, where the package has one. */
  license: string | undefined;
}

/** Name, version and licence from the package.json of a package. */
export async function packageFields(folder: string): Promise<PackageFields> {
  const { name, version, license } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string | { type: string };
  };
  return { name, version, license: typeof license === 'object' ? license.type : license };
}

/** For example, `node_modules/a/node_modules/@b/c/d.js` is in the package `node_modules/a/node_modules/@b/c`. */
function packageFolder(input: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

async function packageNotice(folder: string): Promise<string> {
  const { name, version, license: spdx } = await packageFields(folder);
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(path.join(folder, file), 'utf8')));
  if (spdx === undefined && texts.length === 0) throw new Error(`The package ${name} names no licence.`);
  return [`## ${name} ${version} (${spdx ?? 'licence below'})`, ...texts.map((text) => fenced(text.trim()))].join(
    '\n\n',
  );
}

function fenced(text: string): string {
  return ['~~~~', text.replace(/\r\n/g, '\n'), '~~~~'].join('\n');
}
