/**
 * After these words of Helm, Kubernetes or the API server, the text comes from somebody else: a webhook, a policy, the
 * author of a chart, a program. That text can be anything, also the text of another error.
 */
const foreignSpeaker =
  /denied (?:the )?request:\s|execution error at \([^()\n]{0,300}\): |error output: ?|failed calling webhook "[^"\n]{0,300}": |an error on the server \("/;

/** Returns the text up to the place where the words of somebody else begin. */
export function ownWords(text: string): string {
  const speaker = foreignSpeaker.exec(text);
  return speaker === null ? text : text.slice(0, speaker.index + speaker[0].length);
}
