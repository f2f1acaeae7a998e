import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const pure = 'The core is pure: it takes what it needs as arguments.';
const apart = 'A task shares code with another task through tasks/common only.';
const otherTasks = ['**/HelmSafeDeploy/**', '**/RolloutHealthCheck/**', '**/ApproveAndRollback/**'];

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
    files: ['tasks/common/core/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['node:*', 'fs', 'child_process', 'azure-pipelines-*', '@kubernetes/*'], message: pure },
            { group: ['**/flows/**', '**/adapters/**', ...otherTasks], message: 'core imports core only.' },
          ],
        },
      ],
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
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['node:*', 'azure-pipelines-*', '@kubernetes/*'], message: 'Flows act through ports.' },
            { group: ['**/adapters/**'], message: 'Flows act through ports.' },
            { group: otherTasks, message: apart },
          ],
        },
      ],
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
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['**/flows/**'], message: "Adapters touch the world; the order of things is the flow's." },
            { group: otherTasks, message: apart },
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
