import assert from 'node:assert/strict';
import {
  deliverable,
  findCommand,
  findHelm,
  fromFileTime,
  hasEndedByConsole,
  isConsoleEvent,
  isStrangerOnWindows,
  startOptions,
  uniformEnvironment,
  type HelmOnPath,
} from '../../tasks/common/adapters/system/platform';

const unixes = ['linux', 'darwin'] as const;

describe('decisions that depend on the platform', () => {
  describe('the start of a child process', () => {
    it('on Linux and macOS every child is the first process of a group', () => {
      for (const platform of unixes) {
        for (const sharesConsole of [true, false]) {
          for (const mayBeEnded of [true, false]) {
            assert.equal(startOptions(platform, { sharesConsole, mayBeEnded }).detached, true);
          }
        }
      }
    });

    // CREATE_NO_WINDOW and DETACHED_PROCESS each keep the agent's CTRL_C from a child.
    it("on Windows, a Helm that tidies its revision on a cancel receives the agent's CTRL_C", () => {
      assert.deepEqual(startOptions('win32', { sharesConsole: true, mayBeEnded: true }), {
        detached: false,
        windowsHide: false,
      });
    });

    it('a Helm that must finish receives no CTRL_C and outlives Node', () => {
      assert.deepEqual(startOptions('win32', { sharesConsole: false, mayBeEnded: false }), {
        detached: true,
        windowsHide: true,
      });
    });

    it('a Helm that changes nothing receives no CTRL_C and ends with Node', () => {
      assert.deepEqual(startOptions('win32', { sharesConsole: false, mayBeEnded: true }), {
        detached: false,
        windowsHide: true,
      });
    });
  });

  describe('the sender of the interruption', () => {
    it('the agent of Windows interrupts all processes of the console, so Helm is not interrupted again', () => {
      for (const reason of ['SIGINT', 'SIGBREAK', 'SIGHUP']) {
        assert.equal(isConsoleEvent('win32', reason), true, reason);
        for (const platform of unixes) assert.equal(isConsoleEvent(platform, reason), false, reason);
      }
    });

    it('Helm does not know of our own decisions', () => {
      for (const reason of [undefined, new Error('lost'), new DOMException('', 'AbortError'), 'SIGTERM', 2]) {
        assert.equal(isConsoleEvent('win32', reason), false);
      }
    });

    it('the exit code of a program that the console ended is recognised, signed or not', () => {
      assert.equal(hasEndedByConsole('win32', 3221225786), true);
      assert.equal(hasEndedByConsole('win32', -1073741510), true);
      for (const code of [0, 1, 2, null]) assert.equal(hasEndedByConsole('win32', code), false);
      assert.equal(hasEndedByConsole('linux', 3221225786), false);
    });

    it('Windows has no step between interrupting and killing', () => {
      const steps = [
        { signal: 'SIGINT', waitMs: 8000 },
        { signal: 'SIGTERM', waitMs: 8000 },
        { signal: 'SIGKILL', waitMs: 2000 },
      ] as const;
      assert.deepEqual(deliverable('win32', steps), [{ signal: 'SIGKILL', waitMs: 2000 }]);
      for (const platform of unixes) assert.deepEqual(deliverable(platform, steps), steps);
    });
  });

  describe('recognising that Windows gave a process id to another process', () => {
    const seenAt = '1796000000000';
    const seen = Number(seenAt);
    const rows: [title: string, startedAtMs: number | undefined, seenAt: string, isStranger: boolean | undefined][] = [
      ['it began long before it was seen', seen - 3_600_000, seenAt, false],
      ['it began right before it was seen', seen - 3, seenAt, false],
      ['the clock counts in ticks', seen + 16, seenAt, false],
      ['it began after the process of the mark was seen', seen + 1500, seenAt, true],
      ['a day later', seen + 86_400_000, seenAt, true],
      ['its start cannot be read', undefined, seenAt, undefined],
      ['a mark of an earlier version has no time', seen, '', undefined],
      ['a mark of another kind', seen, '-', undefined],
    ];
    for (const [title, startedAtMs, mark, isStranger] of rows) {
      it(title, () => {
        assert.equal(isStrangerOnWindows(startedAtMs, mark), isStranger);
      });
    }

    it('the answer of PowerShell is read', () => {
      assert.equal(fromFileTime('116444736000000000\r\n'), 0);
      assert.equal(fromFileTime('134404736001234567\r\n'), 1_796_000_000_123);
      for (const text of ['', '0', 'Get-Process : Cannot find a process', '1.3E+17', '134404736001234567 1']) {
        assert.equal(fromFileTime(text), undefined, text);
      }
    });
  });

  describe('the environment of child processes', () => {
    it('names ignore case on Windows, so each is found by its capitals', () => {
      const given = { Path: 'C:\\bin', SystemRoot: 'C:\\Windows', helm_driver: 'configmap' };
      assert.deepEqual(uniformEnvironment('win32', given), {
        PATH: 'C:\\bin',
        SYSTEMROOT: 'C:\\Windows',
        HELM_DRIVER: 'configmap',
      });
      for (const platform of unixes) assert.deepEqual(uniformEnvironment(platform, given), given);
    });
  });

  describe('finding Helm on PATH', () => {
    const there = new Set([
      '/opt/helm/helm',
      'C:\\tools\\helm.exe',
      'C:\\Program Files\\Helm\\helm.exe',
      'C:\\npm\\helm.cmd',
      'C:\\batch\\helm.bat',
      'C:\\both\\helm.cmd',
      'C:\\both\\helm.exe',
      'C:\\bare\\helm',
    ]);
    const find = (platform: NodeJS.Platform, searchPath?: string): HelmOnPath =>
      findHelm(platform, searchPath, (file) => there.has(file));
    const rows: [title: string, platform: NodeJS.Platform, searchPath: string | undefined, found: HelmOnPath][] = [
      ['Linux', 'linux', '/bin:/opt/helm', { kind: 'program', file: '/opt/helm/helm' }],
      ['no PATH', 'linux', undefined, { kind: 'missing' }],
      ['empty folders', 'linux', '::/bin:', { kind: 'missing' }],
      ['Windows', 'win32', 'C:\\Windows;C:\\tools', { kind: 'program', file: 'C:\\tools\\helm.exe' }],
      ['a folder in quotes', 'win32', '"C:\\Program Files\\Helm"', { kind: 'program', file: 'C:\\Program Files\\Helm\\helm.exe' }], // prettier-ignore
      [
        'a shim of npm before the real one',
        'win32',
        'C:\\npm;C:\\tools',
        { kind: 'script', file: 'C:\\npm\\helm.cmd' },
      ],
      ['the real one before it', 'win32', 'C:\\tools;C:\\npm', { kind: 'program', file: 'C:\\tools\\helm.exe' }],
      ['a batch file', 'win32', 'C:\\batch', { kind: 'script', file: 'C:\\batch\\helm.bat' }],
      [
        'both in one folder: Windows takes the .exe',
        'win32',
        'C:\\both',
        { kind: 'program', file: 'C:\\both\\helm.exe' },
      ],
      ['a file without an extension is no program', 'win32', 'C:\\bare', { kind: 'missing' }],
    ];
    for (const [title, platform, searchPath, found] of rows) {
      it(title, () => {
        assert.deepEqual(find(platform, searchPath), found);
      });
    }
  });

  describe('finding the program of a credential plug-in', () => {
    const there = new Set(['C:\\bin\\kubelogin.exe', 'C:\\az\\az.cmd', 'C:\\py\\aws.PY', 'C:\\dots\\tsh.v2.exe']);
    const environment = { PATH: 'C:\\Windows;C:\\bin;C:\\az;C:\\py;C:\\dots', PATHEXT: '.COM;.exe;.cmd;.PY' };
    const find = (command: string, env: NodeJS.ProcessEnv = environment): string | undefined =>
      findCommand('win32', command, env, (file) => there.has(file));

    it('it is found on PATH with the extensions of PATHEXT, or with its own', () => {
      assert.equal(find('kubelogin'), 'C:\\bin\\kubelogin.exe');
      assert.equal(find('kubelogin.exe'), 'C:\\bin\\kubelogin.exe');
      assert.equal(find('az'), 'C:\\az\\az.cmd');
      assert.equal(find('aws'), 'C:\\py\\aws.PY');
      assert.equal(find('tsh.v2'), 'C:\\dots\\tsh.v2.exe');
      assert.equal(find('az', { PATH: 'C:\\az' }), 'C:\\az\\az.cmd');
    });

    it('it is not searched for in the working directory, which may hold any file', () => {
      assert.equal(find('other'), undefined);
      assert.equal(
        findCommand('win32', 'az', { PATH: '' }, () => true),
        undefined,
      );
    });

    it('it is used as given when it names a folder, and on other platforms', () => {
      for (const command of ['C:\\x\\tool', '.\\tool', 'bin/tool', 'C:tool']) assert.equal(find(command), command);
      assert.equal(
        findCommand('linux', 'kubelogin', {}, () => false),
        'kubelogin',
      );
    });
  });
});
