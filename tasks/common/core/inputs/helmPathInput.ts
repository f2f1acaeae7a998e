import type { InputFiles, InputReader } from './inputs';

/** The end of a sentence about a file. */
export const onlyExe =
  'which is not an .exe: Windows starts scripts only through a shell, which would change the values and hide a cancellation from Helm';

/** On Windows, only an .exe can be Helm. */
export function canBeHelm(platform: NodeJS.Platform | undefined, file: string): boolean {
  return platform !== 'win32' || /\.exe$/i.test(file);
}

/** Returns an absolute path, or undefined for the Helm on PATH. */
export function readHelmPath(read: InputReader, files: InputFiles): string | undefined {
  const given = read.optionalText('helmPath');
  if (given === undefined) return undefined;
  const path = completed(given, files);
  switch (files.kind(path)) {
    case 'file':
      if (!canBeHelm(files.platform, path)) {
        read.mistake({ input: 'helmPath', holds: given, problem: `a file ${onlyExe}; give the path of the helm.exe` });
      }
      break;
    case 'folder':
      read.mistake({ input: 'helmPath', holds: given, problem: 'this is a folder, expected the Helm binary in it' });
      break;
    case 'missing':
    case 'unreadable':
      read.mistake({
        input: 'helmPath',
        holds: given,
        problem: 'there is no such file; expected the path of a Helm binary, or nothing for the one on PATH',
      });
  }
  return files.absolute(path);
}

/** On Windows, the name of a program may be given without `.exe`. */
function completed(path: string, files: InputFiles): string {
  const isShort = files.platform === 'win32' && !canBeHelm('win32', path) && files.kind(`${path}.exe`) === 'file';
  return isShort ? `${path}.exe` : path;
}
