import assert from 'node:assert/strict';
import { readHelmPath } from '../../tasks/common/core/inputs/helmPathInput';
import { inputReader, type InputFiles } from '../../tasks/common/core/inputs/inputs';

const there: Record<string, 'file' | 'folder'> = {
  'C:\\tools\\helm.exe': 'file',
  'C:\\tools\\HELM3.EXE': 'file',
  'C:\\tools\\helm.cmd': 'file',
  'C:\\tools\\helm.bat': 'file',
  'C:\\tools\\helm.ps1': 'file',
  'C:\\tools\\linux': 'file',
  'C:\\tools': 'folder',
  'C:\\v3\\helm': 'folder',
  'C:\\v3\\helm.exe': 'file',
  '/opt/helm': 'file',
  '/opt/helm.cmd': 'file',
};

function read(platform: NodeJS.Platform, helmPath: string): string | undefined {
  const files: InputFiles = {
    platform,
    absolute: (path) => path,
    kind: (path) => there[path] ?? 'missing',
    names: () => [],
    readText: () => '',
  };
  const secrets = { ranges: () => [], isIn: () => false, occurrences: () => [] };
  const reader = inputReader({ helmPath: '' }, () => helmPath, { redact: (text) => text, secrets });
  const answer = readHelmPath(reader, files);
  reader.finish();
  return answer;
}

describe('the input helmPath', () => {
  const taken: [platform: NodeJS.Platform, given: string, path: string | undefined][] = [
    ['win32', 'C:\\tools\\helm.exe', 'C:\\tools\\helm.exe'],
    ['win32', 'C:\\tools\\HELM3.EXE', 'C:\\tools\\HELM3.EXE'],
    ['win32', 'C:\\tools\\helm', 'C:\\tools\\helm.exe'],
    ['win32', 'C:\\v3\\helm', 'C:\\v3\\helm.exe'],
    ['win32', '', undefined],
    ['linux', '/opt/helm', '/opt/helm'],
    ['linux', '/opt/helm.cmd', '/opt/helm.cmd'],
  ];
  for (const [platform, given, path] of taken) {
    it(`${platform} takes "${given}"`, () => {
      assert.equal(read(platform, given), path);
    });
  }

  for (const name of ['helm.cmd', 'helm.bat', 'helm.ps1', 'linux']) {
    it(`Windows does not start ${name}: the message names the file and a correct value`, () => {
      const file = `C:\\tools\\${name}`;
      assert.throws(() => read('win32', file), {
        reason: 'InputInvalid',
        message: new RegExp(
          `helmPath holds "${file.replaceAll(/[\\.]/g, '\\$&')}"; .* not an \\.exe.*path of the helm\\.exe`,
        ),
      });
    });
  }

  it('a folder and a missing file are refused', () => {
    assert.throws(() => read('win32', 'C:\\tools'), /this is a folder/);
    assert.throws(() => read('win32', 'C:\\none\\helm'), /holds "C:\\none\\helm"; there is no such file/);
  });
});
