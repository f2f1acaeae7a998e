import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const pure = 'The core is pure: it takes what it needs as arguments.';
const apart = 'A task shares code with another task through tasks/common only.';
const small = 'The guard is one small file: it takes core and adapters/system.';
const tools =
  'From low to high: scripts/cluster and package, test/support and matrix, the other scripts, the tests. Nothing imports from a higher one.';
const shown =
  'The tab takes pure code of the core alone. Its model knows no browser; only tab/view and the files beside the folders do.';
const otherTasks = ['**/HelmSafeDeploy/**', '**/RolloutHealthCheck/**', '**/ApproveAndRollback/**'];

/*
 * The rooms of each layer, from the lowest to the highest. A room imports from those before it. A file that stands beside
 * the rooms is a room of its own.
 */
const rooms = {
  core: [
    'failure',
    'text',
    'kubernetes',
    'azure',
    'helm',
    'release',
    'lock',
    'status',
    'rollout',
    'metrics',
    'approval',
    'report',
    'rollbackPlan',
    'inputs',
    'ports',
    'releaseContext',
  ],
  'core/rollbackPlan': ['model', 'objects', 'judging', 'execution', 'document', 'planRollback', 'planWorkloads'],
  flows: ['steps', 'lock', 'release', 'rollout', 'rollback', 'deploy', 'removal'],
  adapters: ['system', 'agent', 'kubernetes', 'azure', 'azureDevOps', 'metrics', 'gateway', 'helm', 'wiring'],
};

const layerPatterns = {
  core: [
    { group: ['node:*', 'fs', 'child_process', 'azure-pipelines-*', '@kubernetes/*'], message: pure },
    { group: ['**/flows/**', '**/adapters/**', ...otherTasks], message: 'core imports core only.' },
  ],
  flows: [
    { group: ['node:*', 'azure-pipelines-*', '@kubernetes/*'], message: 'Flows act through ports.' },
    { group: ['**/adapters/**'], message: 'Flows act through ports.' },
    { group: otherTasks, message: apart },
  ],
  adapters: [
    { group: ['**/flows/**'], message: "Adapters touch the world; the order of things is the flow's." },
    { group: otherTasks, message: apart },
  ],
};

/** For each room: it imports nothing from a room that stands higher in the same layer. */
const roomRules = Object.entries(rooms).flatMap(([place, order]) => {
  const [layer, ...inner] = place.split('/');
  const outer = inner.length === 0 ? [] : [higherRooms(rooms[layer], inner[0])];
  return order.map((room, index) => ({
    files: [`tasks/common/${place}/${room}/**/*.ts`, `tasks/common/${place}/${room}.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            ...layerPatterns[layer],
            ...outer,
            ...(index < order.length - 1 ? [higherRooms(order, room)] : []),
          ],
        },
      ],
    },
  }));
});

function higherRooms(order, room) {
  const higher = order.slice(order.indexOf(room) + 1);
  return {
    regex: `^\\.{1,2}/(\\.\\./)*(${higher.join('|')})(/|$)`,
    message: `${room} is a lower room: move what both need down, or this file up.`,
  };
}

/** A function has at most this many lines, blank lines and comments aside. */
const longestFunction = 60;

/** Like `max-lines-per-function`, but a factory that only declares and returns closures may be longer. */
const functionLength = {
  create(context) {
    const { sourceCode } = context;
    const comments = new Set(
      sourceCode.getAllComments().flatMap(({ loc }) => linesBetween(loc.start.line, loc.end.line)),
    );
    const isCode = (line) => sourceCode.lines[line - 1].trim() !== '' && !comments.has(line);
    const check = (node) => {
      const length = linesBetween(node.loc.start.line, node.loc.end.line).filter(isCode).length;
      if (length <= longestFunction || isFactory(node)) return;
      context.report({ node, message: `This function has ${length} lines, at most ${longestFunction} are allowed.` });
    };
    return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
  },
};

function isFactory({ async: isAsync, body }) {
  if (isAsync || body.type !== 'BlockStatement') return false;
  const isDeclaration = ({ type }) => type === 'VariableDeclaration' || type === 'FunctionDeclaration';
  const last = body.body.at(-1);
  return (
    body.body.slice(0, -1).every(isDeclaration) &&
    last?.type === 'ReturnStatement' &&
    /^(Object|.*Function)Expression$/.test(last.argument?.type)
  );
}

function linesBetween(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'coverage/**'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unnecessary-condition': 'error',
      '@typescript-eslint/prefer-nullish-coalescing': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['test/**/*.ts', 'scripts/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['tasks/**/*.ts', 'tab/**/*.ts'],
    plugins: { local: { rules: { 'function-length': functionLength } } },
    rules: { 'local/function-length': 'error', complexity: ['error', 15], 'max-params': ['error', 4] },
  },
  {
    files: ['tasks/common/core/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: layerPatterns.core }],
      'no-restricted-globals': [
        'error',
        ...['process', 'console', 'setTimeout', 'setInterval', 'setImmediate', 'fetch', 'performance', 'Buffer'].map(
          (name) => ({ name, message: pure }),
        ),
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "MemberExpression[object.name='Date'][property.name='now']", message: pure },
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: pure },
        { selector: "MemberExpression[object.name='Math'][property.name='random']", message: pure },
      ],
    },
  },
  {
    files: ['tasks/common/flows/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: layerPatterns.flows }],
      'no-restricted-globals': [
        'error',
        ...['process', 'console', 'setTimeout', 'setInterval'].map((name) => ({
          name,
          message: 'Flows act through ports.',
        })),
      ],
    },
  },
  {
    files: ['tasks/common/adapters/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: layerPatterns.adapters }],
    },
  },
  ...roomRules,
  {
    files: ['tab/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['node:*', '**/flows/**', '**/adapters/**', ...otherTasks], message: shown }] },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: 'MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|write|writeln)$/]',
          message: 'Text of others becomes text nodes, never markup.',
        },
      ],
    },
  },
  {
    files: ['tab/model/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['node:*', '../view/*', '../host/*', 'azure-devops-*'], message: shown }] },
      ],
      'no-restricted-globals': [
        'error',
        ...['window', 'document', 'navigator', 'fetch', 'setTimeout', 'localStorage'].map((name) => ({
          name,
          message: shown,
        })),
      ],
    },
  },
  {
    files: ['tasks/common/guard/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['**/flows/**', 'azure-pipelines-*', '@kubernetes/*', ...otherTasks], message: small },
            { regex: 'adapters/(?!system/)', message: small },
          ],
        },
      ],
    },
  },
  {
    files: ['scripts/*.ts', 'scripts/{cluster,package,test}/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ regex: '/test/(?!plan|summary|mochaRun)', message: tools }] }],
    },
  },
  {
    files: ['scripts/{bench,demo,helm,helmFailures,matrix,tab}/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ regex: '/test/(?!support/|matrix/)', message: tools }] }],
    },
  },
  {
    files: ['test/{support,matrix}/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: 'scripts/(?!cluster/|package|build|test/)', message: tools },
            { regex: '^(\\.\\./)+(unit|flows|adapters|agent|package|cluster|e2e)/', message: tools },
          ],
        },
      ],
    },
  },
  {
    files: ['tasks/*/*.ts'],
    ignores: ['tasks/common/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['../[A-Z]*/**'], message: apart, caseSensitive: true }] },
      ],
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: {
        require: 'readonly',
        module: 'writable',
        process: 'readonly',
        console: 'readonly',
        __dirname: 'readonly',
      },
    },
    rules: { 'no-console': 'off' },
  },
);
