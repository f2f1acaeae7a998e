import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { causes, type CauseCode } from '../../tasks/common/core/rollout/causes';
import type { RolloutPolicy } from '../../tasks/common/core/rollout/verdict';
import { at } from '../support/rolloutObjects';
import { healing, hopeless, type Case } from '../support/simulatedCases';
import { krane, kubedog, type Peer } from '../support/simulatedPeers';
import { randomOf, Simulation, type End } from '../support/simulatedRollout';

/** Another seed gives other rollouts: SIMULATION_SEED=7 npm test -- test/unit/rolloutSimulation.test.ts */
const seed = Number(process.env['SIMULATION_SEED'] ?? 1);
const healingRollouts = 2000;
/** The medians of docs/causes.md do not change when a kind is added. */
const hopelessEach = 200;
const policy: RolloutPolicy = { failFast: true, deadline: at(300), isApplied: true, graces: {}, statusRules: [] };

function simulation(kind: Case, number: number): Simulation {
  const random = randomOf(seed * 1_000_003 + number);
  const made: Simulation[] = [];
  const world = kind.world(random, () => {
    const [own] = made;
    assert.ok(own);
    return own;
  });
  const simulated = new Simulation(world, random);
  made.push(simulated);
  return simulated;
}

function played(kind: Case, number: number, withFacts = true): End {
  return simulation(kind, number).play(policy, withFacts);
}

const peers: Readonly<Record<string, Peer>> = { krane, kubedog };

/** The seconds at which the rules of another tool give up, within the same time. */
function givenUp(kind: Case, length: number, peer: Peer): number[] {
  return Array.from({ length }, (_, number) => simulation(kind, number).playFor(peer, 300) ?? Infinity);
}

function all(kind: Case, length: number, withFacts = true): End[] {
  return Array.from({ length }, (_, number) => played(kind, number, withFacts));
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

describe('simulated rollouts that heal when they are left alone', () => {
  for (const kind of healing) {
    it(`none is condemned: ${kind.name}`, () => {
      all(kind, Math.ceil(healingRollouts / healing.length)).forEach(({ health, second, verdict }, number) => {
        assert.equal(
          health,
          'healthy',
          `number ${number} after ${second} s: ${verdict.decisive?.cause?.message ?? ''}`,
        );
      });
    });
  }
});

describe('simulated rollouts that cannot heal', () => {
  const table = new Map<string, readonly [proven: number, graces: number]>();
  for (const kind of hopeless) {
    it(`fail ${kind.mayCome === true ? 'only after a longer one' : 'before their grace is over'}: ${kind.name}`, () => {
      const [proven, graces] = [all(kind, hopelessEach), all(kind, hopelessEach, false)];
      for (const { health, verdict } of [...proven, ...graces]) {
        assert.equal(health, 'failed');
        assert.equal(verdict.timedOut, false);
      }
      assert.ok(proven.every(({ verdict }) => verdict.decisive?.cause?.code === kind.code.split(' ')[0]));
      const [fast = NaN, slow = NaN] = [proven, graces].map((ends) =>
        Math.round(median(ends.map(({ second }) => second))),
      );
      const [code] = kind.code.split(' ');
      const grace = Number(causes[code as CauseCode].grace);
      table.set(kind.code, [fast, Math.max(grace, slow)]);
      assert.equal(fast <= slow, kind.mayCome !== true);
    });
  }

  it('take as long as docs/causes.md says', function () {
    if (seed !== 1) this.skip();
    const documented = readFileSync(new URL('../../docs/causes.md', import.meta.url), 'utf8');
    const rows = [
      ...documented.matchAll(/^\| ([A-Z]\w+(?: \(\w+\))?) +\| +(\d+) s +\| +(\d+) s +\| [^|]+\| [^|]+\|$/gm),
    ].map(([, code = '', fast, slow]) => [code, [Number(fast), Number(slow)]] as const);
    assert.deepEqual(rows, [...table]);
  });
});

describe('the rules of other tools in the same simulated rollouts', () => {
  it('give up when docs/causes.md says, and condemn as many that heal', function () {
    if (seed !== 1) this.skip();
    const shown = (seconds: number): string => (seconds === Infinity ? 'timeout' : `${Math.round(seconds)} s`);
    const expected = hopeless.map((kind) => {
      const medians = Object.values(peers).map((peer) => shown(median(givenUp(kind, hopelessEach, peer))));
      return [kind.code, ...medians].join(' | ');
    });
    const each = Math.ceil(healingRollouts / healing.length);
    const condemned = Object.entries(peers).map(([name, peer]) => {
      const ends = healing.flatMap((kind) => givenUp(kind, each, peer));
      return `${name} condemn ${ends.filter(Number.isFinite).length}`;
    });
    const documented = readFileSync(new URL('../../docs/causes.md', import.meta.url), 'utf8');
    const rows = [
      ...documented.matchAll(/^\| ([A-Z]\w+(?: \(\w+\))?) +\| [^|]+\| [^|]+\| ([^|]+?) +\| ([^|]+?) +\|$/gm),
    ];
    assert.deepEqual(
      rows.map(([, ...cells]) => cells.join(' | ')),
      expected,
    );
    for (const words of condemned) assert.ok(documented.includes(words), words);
  });
});
