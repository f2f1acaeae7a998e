import type { InputFiles, InputReader } from './inputs';

/** The input helmPath as an absolute path; undefined for the Helm on PATH. */
export function readHelmPath(read: InputReader, files: InputFiles): string | undefined {
  const path = read.optionalText('helmPath');
  if (path === undefined) return undefined;
  switch (files.kind(path)) {
    case 'file':
      break;
    case 'folder':
      read.mistake({ input: 'helmPath', holds: path, problem: 'this is a folder, expected the Helm binary in it' });
      break;
    case 'missing':
    case 'unreadable':
      read.mistake({
        input: 'helmPath',
        holds: path,
        problem: 'there is no such file; expected the path of a Helm binary, or nothing for the one on PATH',
      });
  }
  return files.absolute(path);
}
