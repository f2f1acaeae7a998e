import { createHash } from 'node:crypto';
import { zipSync } from 'fflate';
import { createTar } from 'nanotar';
import { gzipSync } from 'node:zlib';
import { helmArchive } from '../../tasks/common/core/helm/helmVersion';
import { openHttpsSite, type HttpsSite } from './httpsSite';

export interface HelmMirror extends HttpsSite {
  /** The files by their name. A test may change them. */
  files: Map<string, Uint8Array | string>;
  /** Publishes a program as this version, with its sum. Returns the name of the archive. */
  publish(version: string, program: Uint8Array, platform?: string, processor?: string): string;
}

/** A download site in the layout of get.helm.sh, empty at first. */
export async function openHelmMirror(host?: string): Promise<HelmMirror> {
  const files: HelmMirror['files'] = new Map();
  const site = await openHttpsSite((request, response) => {
    const content = files.get((request.url ?? '').slice('/'.length));
    if (content === undefined) response.writeHead(404).end('no such file');
    else response.end(content);
  }, host);
  return {
    ...site,
    files,
    publish: (version, program, platform = process.platform, processor = process.arch) => {
      const archive = helmArchive(version, platform, processor);
      if (archive === undefined) throw new Error(`Helm has no archive for ${platform} on ${processor}.`);
      const { name } = archive;
      const bytes = name.endsWith('.zip')
        ? zipSync({ [archive.program]: program }, { level: 1 })
        : gzipSync(createTar([{ name: archive.program, data: program, attrs: { mode: '755' } }]), { level: 1 });
      files.set(name, bytes);
      files.set(`${name}.sha256sum`, `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`);
      return name;
    },
  };
}
