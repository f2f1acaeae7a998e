import assert from 'node:assert/strict';
import {
  a,
  bad,
  everyTime,
  hooked,
  isBad,
  kills,
  momentsOf,
  nextOf,
  play,
  playAll,
  stories,
  type Plot,
} from '../support/fakes/plays';
import type { Mishap } from '../support/fakes/stage';

describe('an interrupted run', function () {
  this.timeout(300_000);
  const random = Math.random;
  before(() => {
    Math.random = () => 0.5;
  });
  after(() => {
    Math.random = random;
  });

  for (const [name, story] of Object.entries(stories)) {
    const nexts = [story.chart, hooked, bad, a];
    it(`${name}: killed at each moment, then the next run`, async () => {
      const plots = kills(await momentsOf(story)).map((mishap, index) => ({
        story,
        mishap,
        next: nextOf(nexts, index),
        isRetry: index % 5 === 0,
      }));
      await playAll(plots);
    });

    it(`${name}: killed at each moment, then post-job, then the next run`, async () => {
      const plots = kills(await momentsOf(story))
        .filter((_, index) => index % 2 === 0)
        .map((mishap, index) => ({
          story,
          mishap,
          postJob: {},
          next: nextOf(nexts, index + 1),
        }));
      await playAll(plots);
    });

    it(`${name}: cancelled at each moment, then post-job, then the next run`, async () => {
      const plots = everyTime(await momentsOf(story), 'cancelled').map((mishap, index) => ({
        story,
        mishap,
        postJob: {},
        next: nextOf(nexts, index),
      }));
      await playAll(plots);
    });
  }

  for (const name of ['a broken first install', 'a good upgrade with hooks', 'a broken upgrade after a failed one']) {
    const story = stories[name] ?? assert.fail(name);
    it(`${name}, without a lock: killed at each moment, then the next run`, async () => {
      // Without a lock nothing records that the run died before its verdict, so its failures count as pre-existing.
      const nexts = isBad(story.chart) ? [hooked, a] : [hooked, a, bad];
      const plots = kills(await momentsOf(story, 'off')).map((mishap, index) => ({
        story,
        lock: 'off' as const,
        mishap,
        next: nextOf(nexts, index),
      }));
      await playAll(plots);
    });
  }

  /** The main phase and its Helm die at the first moment that matches `at` after `from`. */
  const deaths: readonly (readonly [story: string, from: RegExp, at: RegExp])[] = [
    ['a broken first install', /helm.upgrade/, /Helm: apply Deployment/],
    ['a broken first install', /helm.upgrade/, /storage.history/],
    ['a broken upgrade with hooks', /helm.upgrade/, /Helm: wait for Job.migrate/],
    ['a broken upgrade after a failed one', /helm.upgrade/, /Helm: apply Deployment/],
    ['a broken upgrade after a failed one', /helm.rollback/, /Helm: apply Deployment/],
    ['a good upgrade', /helm.upgrade/, /storage.history/],
  ];
  for (const [name, from, where] of deaths) {
    const story = stories[name] ?? assert.fail(name);
    it(`${name}, killed at ${where.source} after ${from.source}: post-job is killed or fails at each of its moments`, async () => {
      const moments = await momentsOf(story);
      const begin = moments.findIndex((moment) => from.test(moment));
      const at = moments.findIndex((moment, index) => index > begin && where.test(moment)) + 1;
      assert.ok(at > 0);
      const first: Plot = {
        story,
        mishap: { what: 'killed', at, isDone: false, helm: 'dies' },
        postJob: {},
        next: a,
      };
      const undisturbed = await play(first);
      assert.deepEqual(undisturbed.wrong, []);
      const mishaps: Mishap[] = [
        ...kills(undisturbed.moments),
        ...everyTime(undisturbed.moments, 'fails'),
        ...everyTime(undisturbed.moments, 'answer lost'),
      ];
      const nexts = [story.chart, hooked, bad, a];
      await playAll(mishaps.map((mishap, index) => ({ ...first, postJob: { mishap }, next: nextOf(nexts, index) })));
    });
  }
});
