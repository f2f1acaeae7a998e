/**
 * Behind these words of Helm, Kubernetes or the API server somebody else speaks: a webhook, a policy, the author of a
 * chart, a program. What they say may be anything, another error's text too.
 */
const foreignSpeaker =
  /denied (?:the )?request:\s|execution error at \([^()\n]{0,300}\): |error output: ?|failed calling webhook "[^"\n]{0,300}": |an error on the server \("/;

/** The text up to where somebody else begins to speak. */
export function ownWords(text: string): string {
  const speaker = foreignSpeaker.exec(text);
  return speaker === null ? text : text.slice(0, speaker.index + speaker[0].length);
}
