/** The CSS of each style of the demo, by its ANSI code (ECMA-48, SGR). */
const styles: Readonly<Record<string, string>> = {
  '1': 'font-weight:700',
  '31': 'color:#ff7b72',
  '32': 'color:#56d364',
  '33': 'color:#e3b341',
  '34': 'color:#79c0ff',
  '35': 'color:#d2a8ff',
  '36': 'color:#76e3ea',
  '90': 'color:#8b949e',
};

/** As many lines as the window has room for. */
const rows = 28;

/** A page that shows the end of the output of a program in a window of a terminal, 1366 pixels wide and 768 high. */
export function terminalPage(title: string, output: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title><style>
*{box-sizing:border-box}
body{margin:0;width:1366px;height:768px;padding:28px 40px;background:#1d4ed8}
main{height:100%;display:flex;flex-direction:column;border-radius:10px;overflow:hidden;background:#0d1117}
header{display:flex;gap:9px;align-items:center;padding:12px 16px;background:#21262d;color:#c9d1d9;font:14px sans-serif}
header i{width:13px;height:13px;border-radius:50%;background:#484f58}
header b{flex:1;text-align:center;font-weight:400;margin-right:57px}
pre{flex:1;min-height:0;display:flex;flex-direction:column;justify-content:flex-end;overflow:hidden;margin:0;padding:14px 24px 18px;color:#e6edf3;font:16px/1.42 "DejaVu Sans Mono",monospace}
</style></head><body><main><header><i></i><i></i><i></i><b>${escaped(title)}</b></header><pre><code>${styled(output.trimEnd().split('\n').slice(-rows).join('\n'))}</code></pre></main></body></html>`;
}

function styled(output: string): string {
  // The text before the first code has no style.
  const [plain = '', ...rest] = escaped(output).split('\u001b[');
  const spans = rest.map((part) => {
    const end = part.indexOf('m');
    const style = part
      .slice(0, end)
      .split(';')
      .flatMap((code) => styles[code] ?? []);
    return `<span style="${style.join(';')}">${part.slice(end + 1)}</span>`;
  });
  return [plain, ...spans].join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
