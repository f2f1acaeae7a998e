import assert from 'node:assert/strict';
import {
  channelMarkdown,
  channelMessageLimit,
  channelText,
  type ChannelMessage,
} from '../../tasks/common/core/report/channelMessage';
import { deployNote } from '../../tasks/common/core/report/workloadNote';
import type { DeployReport } from '../../tasks/common/core/report/report';

const message: ChannelMessage = {
  title: 'Release shop in namespace prod: rolled back (ImageNotFound)',
  cause: 'Deployment/web: the image does not exist.',
  serves: 'Revision 5 serves now, and is healthy.',
  next: 'Push the image.',
  link: 'https://dev.example/org/shop/_build/results?buildId=7&view=results',
};

describe('the message for an incident channel', () => {
  it('has one line for each fact, and no line for one that is missing', () => {
    assert.equal(
      channelText(message),
      [message.title, message.cause, message.serves, `Next: ${message.next}`, message.link].join('\n'),
    );
    assert.equal(channelText({ ...message, cause: '', serves: '', next: '', link: '' }), message.title);
  });

  it('stays below its limit, and a long address is left out instead of cut', () => {
    const long = 'x'.repeat(5000);
    const text = channelText({ title: long, cause: long, serves: long, next: long, link: `https://${long}` });
    assert.ok(text.length <= channelMessageLimit, String(text.length));
    assert.doesNotMatch(text, /https:/);
  });

  it('texts of others add no line, no command, no macro and no markup', () => {
    const cause = 'line\r\n##vso[task.complete]x \u001b[31m$(secret) [click](https://evil.example) <b>';
    const text = channelText({ ...message, cause });
    assert.equal(text.split('\n').length, 5);
    assert.doesNotMatch(text, /##vso|\$\(/);
    assert.equal(text.includes('\u001b'), false);
    const markdown = channelMarkdown({ ...message, cause });
    assert.match(markdown, /\\\[click\\\]/);
    assert.doesNotMatch(markdown, /##vso|<b>|https:\/\/evil/);
    assert.match(markdown, /\[The run\]\(https:\/\/dev\.example\/org\/shop\/_build\/results\?buildId=7&view=results\)/);
  });
});

describe('the Event on a workload', () => {
  const run = { identity: 'org/shop, web-deploy 4', link: 'https://dev.example/7' };
  const report = (more: Partial<DeployReport>): DeployReport =>
    ({
      release: 'shop',
      chart: 'shop 2',
      reason: 'ImageNotFound',
      message: 'No image.',
      failedWorkload: 'Deployment/web',
      objects: [],
      evidence: [],
      ...more,
    }) as DeployReport;
  for (const [outcome, revisionBefore, servingRevision, expected] of [
    [
      'deployed',
      4,
      5,
      /^Normal Deployed Revision 5 of release shop \(shop 2\) was deployed, after revision 4, by org.* https:/,
    ],
    [
      'rolledBack',
      4,
      6,
      /^Warning RolledBack A deploy .* \(ImageNotFound\) and was rolled back: revision 6 serves now/,
    ],
    ['failed', 4, 5, /^Warning DeployFailed Revision 5 .* and was kept/],
    ['failed', 4, 4, /^none$/],
    ['unchanged', 4, 4, /^none$/],
    ['refused', 4, 4, /^none$/],
  ] as const) {
    it(`${outcome} from ${revisionBefore} to ${servingRevision}`, () => {
      const note = deployNote(report({ outcome, revisionBefore, servingRevision }), run);
      assert.match(note === undefined ? 'none' : `${note.type} ${note.reason} ${note.message}`, expected);
    });
  }
});
